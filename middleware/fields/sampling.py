"""The server's defaults for sampling, put into requests that do not set them, and its cap on their length.
Repairs of the tables; SGLang 0.5.23 has defaults of its own for chat alone, and no cap.
"""

from dataclasses import dataclass

from middleware.fields.draft import Draft

LENGTH = "max_tokens"


@dataclass(frozen=True, slots=True)
class Sampling:
    """What requests of one kind call the length of their answer."""

    lengths: tuple[str, ...] = (LENGTH,)
    # The length of a request that says nothing, where vLLM has one.
    implied: int | None = None

    def __call__(self, draft: Draft) -> None:
        policy = draft.policy
        for name, value in policy.sampling_defaults.items():
            if name != LENGTH and not draft.given(name):
                draft.replace(name, _for_sglang(name, value))
        if policy.max_new_tokens or LENGTH in policy.sampling_defaults:
            self._cap(draft)

    def _cap(self, draft: Draft) -> None:
        cap = draft.policy.max_new_tokens
        given = [name for name in self.lengths if draft.given(name)]
        if given:
            for name in given:
                wanted = draft.number(name)
                if cap and wanted is not None and wanted > cap:
                    draft.replace(name, cap)
            return
        fallback = self.implied or draft.policy.sampling_defaults.get(LENGTH)
        limits = [limit for limit in (fallback, cap) if limit]
        if limits:
            draft.replace(self.lengths[-1], min(limits))


def _for_sglang(name: str, value: object) -> object:
    # No limit is 0 in vLLM and -1 in SGLang, which answers 400 to a 0.
    return -1 if name == "top_k" and value == 0 else value
