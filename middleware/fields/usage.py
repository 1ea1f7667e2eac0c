"""--enable-force-include-usage: every stream tells its usage, in each chunk and at its end, asked or not.
A repair of the tables of chat and completions.
"""

from middleware.fields.draft import Draft

OPTIONS = "stream_options"


def force_usage(draft: Draft) -> None:
    if not draft.policy.force_include_usage or not draft.value("stream"):
        return
    options = draft.value(OPTIONS)
    if options is None or isinstance(options, dict):
        forced = {**(options or {}), "include_usage": True, "continuous_usage_stats": True}
        if forced != options:
            draft.replace(OPTIONS, forced)
