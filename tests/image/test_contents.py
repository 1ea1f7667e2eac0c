"""What is in the image, and what runs in a container of it: packages, users, files, modes, ports, processes, names."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from shims import VERSION, catalog
from shims.environment import EMPTIED
from tests.image.conftest import MODEL
from tests.image.podman import IMAGE, PORT, Container, inspect_image, podman

HOME = "/opt/vllm-to-sglang"
VLLM = f"{HOME}/shims/bin/vllm"
SPOKEN = catalog.load("vllm").version
BASE = "localhost/vllm-to-sglang-base:bookworm"
ANYWHERE = ("0.0.0.0", "::", "*", "[::]")


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    found: dict[str, Any] = inspect_image()["Config"]
    return found


def test_haproxy_is_the_distributions(host: Any) -> None:
    assert host.package("haproxy").is_installed
    assert host.file("/usr/sbin/haproxy").exists


def test_our_python_is_3_11_or_later_and_keeps_no_pip(host: Any) -> None:
    version = host.check_output(f"{HOME}/.venv/bin/python -c 'import sys; print(sys.version_info >= (3, 11))'")
    assert version == "True"
    assert not host.run(f"{HOME}/.venv/bin/python -m pip --version").succeeded


def test_the_bases_python_has_got_nothing_of_ours(host: Any) -> None:
    found = host.run("env -u PYTHONPATH python3 -c 'import uvicorn'")
    assert "ModuleNotFoundError" in found.stderr
    assert not host.run("env -u PYTHONPATH python3 -c 'import vllm'").succeeded


@pytest.mark.parametrize("name", ["/usr/local/bin/vllm", "/opt/venv/bin/vllm"])
def test_vllm_is_where_each_stack_looks_for_it(host: Any, name: str) -> None:
    assert host.file(name).is_symlink
    assert host.file(name).linked_to == VLLM
    assert host.check_output(f"{name} --version") == SPOKEN


def test_vllm_is_on_the_path(host: Any) -> None:
    assert host.check_output("command -v vllm") == "/usr/local/bin/vllm"


@pytest.mark.parametrize("name", ["supervisorctl", "vllm-to-sglang"])
def test_the_operators_commands_are_on_the_path(host: Any, name: str) -> None:
    assert host.exists(name)


@pytest.mark.parametrize("python", ["python3", f"{HOME}/.venv/bin/python"])
def test_importing_vllm_tells_its_version_in_both_pythons(host: Any, python: str) -> None:
    assert host.check_output(f"cd / && {python} -c 'import vllm; print(vllm.__version__)'") == SPOKEN


@pytest.mark.parametrize("python", ["python", "python3"])
@pytest.mark.parametrize(
    "module", ["vllm.entrypoints.openai.api_server", "vllm.entrypoints.cli.main serve", "vllm serve"]
)
def test_python_m_starts_what_vllm_starts(host: Any, python: str, module: str) -> None:
    found = host.run(f"cd / && {python} -m {module} {MODEL} --no-such-flag")
    assert (found.rc, found.stderr.splitlines()[-1][:28]) == (2, "vllm: error: --no-such-flag:")


def test_nothing_of_ours_can_be_changed_by_another_user(host: Any) -> None:
    """The catalog that is taken at the build is read by any user too."""
    writable = host.check_output(f"find {HOME} /opt/venv -not -type l '(' -perm -o+w -o -not -user root ')'")
    assert writable == ""
    unreadable = host.check_output(f"find {HOME} -type f -not -perm -o+r")
    assert unreadable == ""


def test_no_cache_of_a_package_manager_is_left(host: Any) -> None:
    assert (
        host.check_output(
            "find /var/lib/apt/lists /var/cache/apt /root/.cache/pip -type f 2>/dev/null | grep -v lock || true"
        )
        == ""
    )


def test_our_code_is_compiled(host: Any) -> None:
    """A read-only root would compile it at every start."""
    found = host.check_output(f"find {HOME}/shims {HOME}/supervision {HOME}/middleware -name '*.pyc' | wc -l")
    assert int(found) > 100


def test_the_image_adds_less_than_70_mb(config: dict[str, Any]) -> None:
    base = config["Labels"]["org.opencontainers.image.base.name"]
    assert inspect_image()["Size"] - inspect_image(base)["Size"] < 70e6


def test_labels_say_what_it_is_and_what_it_stands_on(config: dict[str, Any]) -> None:
    labels = config["Labels"]
    assert labels["org.opencontainers.image.version"] == VERSION
    assert labels["org.opencontainers.image.title"] == "vllm-to-sglang"
    assert labels["org.opencontainers.image.base.name"].startswith("localhost/vllm-to-sglang-base")
    assert {"org.opencontainers.image.source", "org.opencontainers.image.revision"} <= set(labels)
    assert {"vllm-to-sglang.sglang", "vllm-to-sglang.rocm", "vllm-to-sglang.gpu"} <= set(labels)


def test_it_is_started_as_vllms_image_is(config: dict[str, Any]) -> None:
    assert config["Entrypoint"] == ["vllm", "serve"]
    assert not config.get("Cmd")
    assert config.get("User", "") in ("", "root")
    assert config["WorkingDir"] == "/"
    assert list(config["ExposedPorts"]) == [f"{PORT}/tcp"]
    assert config["StopSignal"] in ("SIGTERM", "15")
    assert not config.get("Volumes")  # a volume of podman's own would belong to root


def test_tuning_for_amds_gpus_is_empty_on_a_base_without_rocm(config: dict[str, Any]) -> None:
    values = dict(one.partition("=")[::2] for one in config["Env"])
    assert {values[name] for name in ("HIP_FORCE_DEV_KERNARG", "HSA_NO_SCRATCH_RECLAIM", "NCCL_MIN_NCHANNELS")} == {""}


@pytest.mark.parametrize("name", EMPTIED)
def test_what_the_base_sets_and_would_change_results_does_not_reach_the_engine(name: str, serving: Container) -> None:
    base, ours = (
        dict(one.partition("=")[::2] for one in inspect_image(image)["Config"]["Env"]) for image in (BASE, IMAGE)
    )
    assert base[name]
    assert ours[name] == ""
    seen = serving.run("sh", "-c", "tr '\\0' '\\n' </proc/$(supervisorctl pid sglang)/environ").stdout
    assert "SGLANG_" in seen
    assert f"{name}=" not in seen


def test_only_the_front_door_listens_beyond_loopback(host: Any) -> None:
    lines = host.check_output("ss --listening --tcp --udp --numeric --no-header").splitlines()
    local = [line.split()[4] for line in lines]
    beyond = sorted({int(one.rpartition(":")[2]) for one in local if one.rpartition(":")[0] in ANYWHERE})
    assert beyond == [PORT]
    assert {one.rpartition(":")[0] for one in local} - set(ANYWHERE) <= {"127.0.0.1", "[::1]"}
    assert {f"127.0.0.1:{PORT + n}" for n in (1, 2)} <= set(local)


def test_the_inner_ports_are_closed_to_the_network(serving: Container) -> None:
    for inner in (PORT + 1, PORT + 2):
        with pytest.raises(httpx.ConnectError):
            httpx.get(serving.url.replace(f":{PORT}", f":{inner}"), trust_env=False)


def test_supervisord_is_the_first_process_and_haproxy_the_middleware_and_sglang_its_children(host: Any) -> None:
    assert "-m supervision -c" in host.process.get(pid=1).args
    children = {one.args.split()[0].rpartition("/")[2] for one in host.process.filter(ppid=1)}
    assert {"haproxy", "python", "python3"} <= children
    assert all(one.user == "root" for one in host.process.filter(ppid=1))


def test_files_of_a_run_are_for_their_owner_alone(host: Any) -> None:
    assert host.file("/tmp/vllm-shim").mode == 0o700
    assert host.file("/tmp/vllm-shim/supervisord.conf").mode == 0o600
    assert host.file("/tmp/vllm-shim/log/sglang.log").mode == 0o600


def test_supervisorctl_and_status_work_by_exec_without_options(serving: Container) -> None:
    states = serving.run("supervisorctl", "status").stdout
    assert [line.split()[1] for line in states.splitlines() if "RUNNING" in line or "STARTING" in line]
    told = serving.run("vllm-to-sglang", "status")
    assert "sglang" in told.stdout
    assert serving.run("vllm-to-sglang", "status", "--json").stdout.startswith("{")


def test_the_health_check_says_that_it_serves(serving: Container) -> None:
    assert podman("healthcheck", "run", serving.id, check=False).returncode == 0
    assert serving.inspect()["State"]["Health"]["Status"] == "healthy"


def test_the_health_check_fails_where_nothing_was_started() -> None:
    program, *words = inspect_image()["Healthcheck"]["Test"][1:]
    found = podman(
        "run", "--rm", "--network", "none", "--pull=never", "--entrypoint", program, IMAGE, *words, check=False
    )
    assert (found.returncode, found.stdout[:24]) == (1, "nothing was started from")
