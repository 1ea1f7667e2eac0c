"""SGLang's administrative routes: closed unless VLLM_SHIM_EXPOSE_ROUTES names them, and some for good.
Read by `middleware.routes` at start; without a key of its own SGLang lets anybody call them, and vLLM has none of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from middleware.settings import EXPOSE_ROUTES, SettingsError

GET = ("GET",)
POST = ("POST",)
EITHER = ("GET", "POST")


@dataclass(frozen=True, slots=True)
class Admin:
    path: str
    methods: tuple[str, ...]
    # Why it never opens, whatever the operator says; empty if it may.
    closed: str = ""


# The methods are those of SGLang 0.5.23.
ADMIN: tuple[Admin, ...] = (
    Admin("/flush_cache", EITHER),
    Admin("/abort_request", POST),
    Admin("/pause_generation", POST),
    Admin("/continue_generation", POST),
    Admin("/release_memory_occupation", EITHER),
    Admin("/resume_memory_occupation", EITHER),
    Admin("/load_lora_adapter", POST),
    Admin("/load_lora_adapter_from_tensors", POST, closed="it unpickles what the request brings"),
    Admin("/unload_lora_adapter", POST),
    Admin("/update_weights_from_disk", POST),
    Admin("/update_weights_from_distributed", POST),
    Admin("/update_weights_from_ipc", POST, closed="it opens memory handles that the request brings"),
    Admin("/update_weights_from_tensor", POST, closed="it unpickles what the request brings"),
    Admin("/init_weights_update_group", POST),
    Admin("/destroy_weights_update_group", POST),
    Admin("/begin_weight_update", POST),
    Admin("/end_weight_update", POST),
    Admin("/update_weight_version", POST),
    Admin("/get_weights_by_name", EITHER),
    Admin("/weights_checker", EITHER),
    Admin("/init_weights_send_group_for_remote_instance", POST),
    Admin("/send_weights_to_remote_instance", POST),
    Admin("/get_remote_instance_transfer_engine_info", GET),
    Admin("/remote_instance_transfer_engine_info", GET),
    Admin("/scale_elastic_ep", POST),
    Admin("/is_scaling_elastic_ep", GET),
    Admin("/pd_role_switch", POST),
    Admin("/slow_down", EITHER),
    Admin("/set_internal_state", ("POST", "PUT")),
    Admin("/configure_logging", EITHER),
    Admin("/set_trace_level", EITHER),
    Admin("/freeze_gc", EITHER),
    Admin("/start_profile", EITHER),
    Admin("/stop_profile", EITHER),
    Admin("/start_expert_distribution_record", EITHER),
    Admin("/stop_expert_distribution_record", EITHER),
    Admin("/dump_expert_distribution_record", EITHER),
    Admin("/hicache/storage-backend", ("GET", "PUT", "DELETE")),
    Admin("/hicache/storage-backend/clear", POST),
    Admin("/get_hicache_l3_cache_layout", GET),
    Admin("/add_external_corpus", POST),
    Admin("/remove_external_corpus", POST),
    Admin("/list_external_corpora", GET),
    Admin("/open_session", EITHER),
    Admin("/close_session", EITHER),
    # Not administrative, but of the server and not of the model. /server_info repeats the whole command line, keys too.
    Admin("/server_info", GET),
    Admin("/get_server_info", GET),
    Admin("/model_info", GET),
    Admin("/get_model_info", GET),
    Admin("/v1/loads", GET),
    Admin("/health_generate", GET),
)


def opened(paths: Iterable[str]) -> list[Admin]:
    """Those the operator named, in the table's order; a name that cannot be opened stops the start."""
    wanted = set(paths)
    by_path = {admin.path: admin for admin in ADMIN}
    for path in sorted(wanted):
        admin = by_path.get(path)
        if admin is None:
            raise SettingsError(f"{EXPOSE_ROUTES} names {path}, which is not an administrative route of SGLang 0.5.23")
        if admin.closed:
            raise SettingsError(f"{EXPOSE_ROUTES} names {path}, which never opens: {admin.closed}")
    return [admin for admin in ADMIN if admin.path in wanted]
