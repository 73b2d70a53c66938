"""The deployment files name what exists: settings, addresses, ports, files of the image; and leave
nothing open that can be closed."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gate.app import ROUTES
from gate.config.load import load
from gate.config.settings import Settings, VerifySettings, shown
from gate.demo.portal import make_portal
from tests.conftest import Gate

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
TEXTS = sorted(path for path in DEPLOY.iterdir() if path.is_file())
COMPOSE = sorted(DEPLOY.glob("compose*.yaml"))
USER = 10001


def manifests() -> dict[str, Any]:
    text = (DEPLOY / "kubernetes.yaml").read_text("utf-8")
    return {each["kind"]: each for each in yaml.safe_load_all(text)}


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(DEPLOY / "docs-gate.service", "utf-8")
    return parser


def ids(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


@pytest.mark.parametrize("path", TEXTS, ids=ids(TEXTS))
def test_every_setting_that_a_file_names_exists(path: Path) -> None:
    known = {
        f"GATE_{section}__{key}".upper()
        for section, keys in shown(Settings(verify=VerifySettings(url="http://x"))).items()
        for key in keys
    }
    text = path.read_text("utf-8")
    assert set(re.findall(r"GATE_[A-Z]+__[A-Z_]+", text)) <= known
    assert set(re.findall(r"\bGATE_[A-Z]+\b(?!_)", text)) <= {"GATE_CONFIG"}


async def test_every_address_of_the_gate_that_a_file_names_exists(gate: Gate) -> None:
    texts = [path.read_text("utf-8") for path in TEXTS]
    named = {each for text in texts for each in re.findall(r"(?<![\w*])/-/[a-z.]+[a-z]", text)}
    assert "/-/auth" in named
    routes = gate.server.app[ROUTES]
    assert named <= set(routes)


# Kubernetes


def test_the_configuration_in_the_manifests_is_right(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(manifests()["ConfigMap"]["data"]["config.toml"])
    settings = load(file, {}, disk=False)
    spec = manifests()["Deployment"]["spec"]["template"]["spec"]
    mounts = {each["mountPath"]: each for each in spec["containers"][0]["volumeMounts"]}
    assert str(settings.site.root) in mounts
    assert not mounts[str(settings.server.state_dir)].get("readOnly")
    assert {each["containerPort"] for each in spec["containers"][0]["ports"]} == {
        settings.server.port
    }
    grace = settings.server.drain_delay + settings.server.shutdown_grace
    assert spec["terminationGracePeriodSeconds"] > grace
    probe = spec["containers"][0]["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] < settings.server.drain_delay


def test_a_pod_has_no_rights_and_a_root_that_is_read_only() -> None:
    spec = manifests()["Deployment"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["securityContext"]["runAsNonRoot"]
    assert {spec["securityContext"][key] for key in ("runAsUser", "runAsGroup", "fsGroup")} == {
        USER
    }
    assert spec["automountServiceAccountToken"] is False
    writable = [each["name"] for each in container["volumeMounts"] if not each.get("readOnly")]
    assert writable == ["state"]


def test_probes_ask_what_each_is_for() -> None:
    (container,) = manifests()["Deployment"]["spec"]["template"]["spec"]["containers"]
    asked = {kind: container[kind]["httpGet"]["path"] for kind in container if "Probe" in kind}
    assert asked == {
        "startupProbe": "/-/healthz",
        "livenessProbe": "/-/healthz",
        "readinessProbe": "/-/readyz",
    }


def test_service_budget_autoscaler_and_policy_mean_the_deployment() -> None:
    found = manifests()
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert found["Service"]["spec"]["selector"] == labels
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    scaled = found["HorizontalPodAutoscaler"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == found["Deployment"]["metadata"]["name"]
    assert scaled["minReplicas"] > found["PodDisruptionBudget"]["spec"]["minAvailable"]
    assert set(found["NetworkPolicy"]["spec"]["policyTypes"]) == {"Ingress", "Egress"}


# Compose


@pytest.mark.parametrize("path", COMPOSE, ids=ids(COMPOSE))
def test_every_container_has_no_rights_and_only_this_host_reaches_it(path: Path) -> None:
    for name, service in yaml.safe_load(path.read_text("utf-8"))["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_the_trials_portal_is_the_demos() -> None:
    services = yaml.safe_load((DEPLOY / "compose.trial.yaml").read_text("utf-8"))["services"]
    (code,) = services["portal"]["command"]
    called: list[tuple[object, int]] = []

    class Web:
        @staticmethod
        def run_app(app: object, port: int) -> None:
            called.append((app, port))

    lines = [line for line in code.splitlines() if "aiohttp" not in line]
    exec("\n".join(lines), {"web": Web})
    ((app, port),) = called
    assert isinstance(app, type(make_portal("http://x")))
    verify = services["gate"]["environment"]["GATE_VERIFY__URL"]
    assert verify == f"http://portal:{port}/api/verify"
    assert services["gate"]["environment"]["GATE_FRAME__ALLOWED_ORIGINS"] == (
        f"http://localhost:{port}"
    )


# systemd


def test_the_unit_serves_reloads_and_stops_in_time() -> None:
    service = unit()["Service"]
    assert service["ExecStart"].split()[1:3] == ["serve", "--config"]
    assert "-HUP" in service["ExecReload"]
    assert service["RestartPreventExitStatus"] == "2"
    assert int(service["TimeoutStopSec"]) > 10


@pytest.mark.parametrize(
    "name",
    ["NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "RestrictNamespaces",
     "ProtectKernelTunables", "ProtectKernelModules", "ProtectControlGroups", "LockPersonality",
     "MemoryDenyWriteExecute", "RestrictSUIDSGID"],
)  # fmt: skip
def test_the_unit_is_hardened(name: str) -> None:
    assert unit()["Service"][name] == "yes"
    assert unit()["Service"]["ProtectSystem"] == "strict"


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return  # the other tests have read it
    file = tmp_path / "docs-gate.service"
    text = (DEPLOY / "docs-gate.service").read_text("utf-8")
    file.write_text(text.replace("/opt/docs-gate/bin/gate", "/bin/true"))
    ended = subprocess.run(
        [analyze, "verify", "--man=no", str(file)], capture_output=True, text=True, check=False
    )
    assert "docs-gate.service" not in ended.stderr, ended.stderr
