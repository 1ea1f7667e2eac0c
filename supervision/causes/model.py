"""Causes in what was asked for: the command line, the model and its files.
Part of the table that `supervision.causes` puts together.
"""

from supervision.causes.record import NEVER, PERHAPS, Cause, Sign

MODELS = "sglang/srt/models"
LOADER = "sglang/srt/model_loader"
EXPERTS = "sglang/srt/model_executor/model_runner_components/moe_ep_setup.py"
HUB = "transformers/utils/hub.py"
HUB_HTTP = "huggingface_hub/utils/_http.py"
HUB_NAMES = "huggingface_hub/utils/_validators.py"
HUB_FILES = "huggingface_hub/_snapshot_download.py"
AUTO = "transformers/models/auto/configuration_auto.py"
DYNAMIC = "transformers/dynamic_module_utils.py"

# What is particular stands before what is general.
CAUSES = (
    Cause(
        "bad flag",
        NEVER,
        "SGLang refuses its command line: correct the argument that it names, in VLLM_SHIM_ENGINE_ARGS if it is from"
        " there; else the image holds another SGLang than this shim was made for",
        (Sign(b": error: ", "argparse.py"),),
        code=2,
    ),
    Cause(
        "gated model",
        NEVER,
        "accept the model's terms on the hub, and give the container that account's token as HF_TOKEN",
        (Sign(b"Cannot access gated repo for url", HUB_HTTP), Sign(b"trying to access a gated repo.", HUB)),
    ),
    Cause(
        "model not found",
        NEVER,
        "there is no such model or revision on the hub, or it is private: check the name, --revision and HF_TOKEN; a"
        " local model is named by the path of its folder, whose volume must be mounted",
        (
            Sign(b"is not a local folder and is not a valid model identifier", HUB),
            Sign(b"is not a valid git identifier", HUB),
            Sign(b"Repository Not Found for url", HUB_HTTP),
            Sign(b"Revision Not Found for url", HUB_HTTP),
            Sign(b"Access to this resource is disabled.", HUB_HTTP),
            Sign(b"Repo id must be in the form", HUB_NAMES),
            Sign(b"Repo id must use alphanumeric chars", HUB_NAMES),
        ),
    ),
    Cause(
        "model not in the cache",
        NEVER,
        "HF_HUB_OFFLINE forbids the download: unset it, or put the model into HF_HOME or --download-dir",
        (
            Sign(b"outgoing traffic has been disabled", HUB_FILES),
            Sign(b"OfflineModeIsEnabled", HUB_FILES),
        ),
    ),
    Cause(
        "hub not reached",
        PERHAPS,
        "check the network, HF_ENDPOINT and the proxy, or mount the model as a folder",
        (
            Sign(b"We couldn't connect to '", HUB),
            Sign(
                b"An error happened while trying to locate the files on the Hub",
                HUB_FILES,
            ),
        ),
    ),
    Cause(
        "custom code",
        NEVER,
        "the model brings code of its own: add --trust-remote-code if you trust it",
        (
            Sign(b"contains custom code which must be executed", DYNAMIC),
            Sign(b"references custom code contained in", DYNAMIC),
            Sign(b"using the `--trust-remote-code` flag in the CLI.", "sglang/srt/utils/hf_transformers/tokenizer.py"),
        ),
    ),
    Cause(
        "unknown architecture",
        NEVER,
        "this SGLang cannot run such a model: use an image with a newer SGLang, or another model",
        (
            Sign(b"are not supported for now. ", f"{MODELS}/registry.py"),
            Sign(b"Cannot find model module. ", f"{LOADER}/utils.py"),
            Sign(b" has no SGlang implementation", f"{LOADER}/utils.py"),
            Sign(b"to be inspected. Please check the logs for more details.", f"{MODELS}/registry.py"),
            Sign(
                b"but Transformers does not recognize this architecture",
                AUTO,
            ),
        ),
    ),
    Cause(
        "no whole model",
        NEVER,
        "the folder holds no model, or not all of it: config.json, the tokenizer and every weight file belong there;"
        " check the path, its volume, and whether the download was cut short",
        (
            Sign(b"Unrecognized model in ", AUTO),
            Sign(b"does not appear to have a file named", HUB),
            Sign(b"is not a valid JSON file", "transformers/configuration_utils.py"),
            Sign(b"Cannot find any model weights with", f"{LOADER}/loader.py"),
            Sign(b" shard file(s) missing ", f"{LOADER}/weight_utils.py"),
            Sign(b"Error while deserializing header", "compiled: safetensors"),
        ),
    ),
    Cause(
        "quantization",
        NEVER,
        "--quantization, or what the model's config.json says of it, does not go with this model, --dtype or GPU",
        (
            Sign(b"Unknown quantization method: ", "sglang/srt/configs/model_config.py"),
            Sign(b"Invalid quantization method", "sglang/srt/layers/quantization/__init__.py"),
            Sign(b"Cannot find the config file for ", f"{LOADER}/weight_utils.py"),
            Sign(b"is not supported for quantization ", f"{LOADER}/loader.py"),
            Sign(b"is not supported for the current GPU. ", f"{LOADER}/loader.py"),
        ),
    ),
    Cause(
        "context too long",
        NEVER,
        "--max-model-len is more than the model was made for: lower it, or set VLLM_ALLOW_LONG_MAX_MODEL_LEN=1",
        (Sign(b"To allow overriding this maximum, set the env var", "sglang/srt/configs/model_config.py"),),
    ),
    Cause(
        "does not divide",
        NEVER,
        "--tensor-parallel-size must divide the model's attention heads and layers' widths: take a smaller one, mostly"
        " a power of two, and split the rest by --pipeline-parallel-size or --data-parallel-size",
        (
            Sign(b"assert self.total_num_heads % ", f"{MODELS}/llama.py"),
            Sign(b" is not divisible by ", "sglang/srt/distributed/utils.py"),
            Sign(b"must be divisible by ep_size", EXPERTS),
            Sign(b"must be divisible by moe_tp_size", EXPERTS),
            Sign(b"You can fix this by setting arguments", EXPERTS),
        ),
    ),
    Cause(
        "adapter does not fit",
        NEVER,
        "an adapter of --lora-modules is larger than --max-lora-rank, or changes modules that are not served",
        (Sign(b"`--max-lora-rank` and that the target modules are included", "sglang/srt/lora/lora_manager.py"),),
    ),
    Cause(
        "chat template",
        NEVER,
        "--chat-template names neither a file in this container nor a template of SGLang's",
        (Sign(b"is not a built-in template name ", "sglang/srt/parser/template_manager.py"),),
    ),
)
