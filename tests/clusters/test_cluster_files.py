"""Every file of clusters/ is one that its native tool takes, and keeps the house's rules."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

HERE = Path(__file__).parent
CLUSTERS = Path(__file__).parents[2] / "clusters"
README = (CLUSTERS / "README.md").read_text(encoding="utf-8")
FILES = sorted(path for path in CLUSTERS.iterdir() if path.suffix != ".md")
SCRIPTS = [path for path in FILES if path.suffix in (".sh", ".sbatch")]
RAY_UP = [CLUSTERS / name for name in ("on_premises.yaml", "aws.yaml", "gcp.yaml")]
HEALTH = {
    "health_check_period_ms": "1000",
    "health_check_timeout_ms": "5000",
    "health_check_failure_threshold": "4",
    "grpc_client_keepalive_time_ms": "65000",
    "grpc_client_keepalive_timeout_ms": "20000",
}


def name(path: Path) -> str:
    return path.name


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=name)
def test_the_first_line_says_how_the_file_is_used(path: Path) -> None:
    first = text(path).splitlines()[0]
    assert first.startswith("#")
    assert path.name in first


@pytest.mark.parametrize("path", FILES, ids=name)
def test_the_readme_has_a_line_for_it(path: Path) -> None:
    assert re.search(rf"^\| `{re.escape(path.name)}` \|", README, flags=re.M)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_token_is_asked_for_and_none_is_written_down(path: Path) -> None:
    given = text(path)
    assert "RAY_AUTH_MODE=token" in given or re.search(r"authOptions:\s+mode: token", given)
    assert not re.search(r"\b[0-9a-f]{32,}\b", given)


@pytest.mark.parametrize("path", [p for p in FILES if p.name != "this_machine.sh"], ids=name)
def test_a_hung_node_is_given_up_as_soon_everywhere(path: Path) -> None:
    found = dict(re.findall(r"RAY_((?:health|grpc)_\w+)(?:=|, value: \")(\d+)", text(path)))
    assert found == HEALTH


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_bash_reads_the_script(path: Path) -> None:
    done = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="no shellcheck here")
@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_shellcheck_finds_nothing(path: Path) -> None:
    command = ["shellcheck", "--shell=bash", "--severity=style", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(shutil.which("sbatch") is None, reason="no Slurm here")
def test_slurm_takes_the_script() -> None:
    command = ["sbatch", "--test-only", str(CLUSTERS / "slurm.sbatch"), "quickstart"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_sbatch_options_stand_before_the_first_command() -> None:
    lines = text(CLUSTERS / "slurm.sbatch").splitlines()
    last = max(number for number, line in enumerate(lines) if line.startswith("#SBATCH"))
    assert lines[0].startswith("#!")
    assert all(line.startswith("#") for line in lines[: last + 1])
    options = re.findall(r"^#SBATCH (--[a-z-]+)=\S+$", "\n".join(lines), flags=re.M)
    assert {"--nodes", "--ntasks-per-node", "--time", "--signal", "--output"} <= set(options)


@pytest.mark.parametrize("path", RAY_UP, ids=name)
def test_ray_up_takes_the_file(path: Path) -> None:
    """By the checks that ``ray up`` makes before it speaks with any provider."""
    config = yaml.safe_load(text(path))
    prepared = prepare_config(config)
    validate_config(prepared)
    types = prepared["available_node_types"]
    assert prepared["head_node_type"] in types
    assert sum(kind["max_workers"] for kind in types.values()) >= prepared["max_workers"] > 0


def test_ray_up_refuses_what_it_does_not_know() -> None:
    config = prepare_config(yaml.safe_load(text(RAY_UP[1])))
    with pytest.raises(Exception, match="workers_max"):
        validate_config({**config, "workers_max": 3})


@pytest.mark.parametrize("path", RAY_UP, ids=name)
def test_ray_up_clusters_show_their_dashboard_to_nobody_and_scale_with_trials(path: Path) -> None:
    config = yaml.safe_load(text(path))
    head = " ".join(config["head_start_ray_commands"])
    assert "--dashboard-host=127.0.0.1" in head
    assert "--autoscaling-config=~/ray_bootstrap_config.yaml" in head
    for commands in (config["head_start_ray_commands"], config["worker_start_ray_commands"]):
        assert "RAY_AUTH_MODE=token" in commands[-1]
    assert "chmod 600 ~/.ray/auth_token" in config["setup_commands"]
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


def test_workers_in_a_cloud_are_spot_and_heads_are_not() -> None:
    aws, gcp = (yaml.safe_load(text(CLUSTERS / f"{name}.yaml")) for name in ("aws", "gcp"))
    kinds = {n: kind["node_config"] for n, kind in aws["available_node_types"].items()}
    spot = {n for n, c in kinds.items() if c.get("InstanceMarketOptions") == {"MarketType": "spot"}}
    assert spot == set(kinds) - {"head"}
    kinds = {n: kind["node_config"] for n, kind in gcp["available_node_types"].items()}
    spot = {n for n, c in kinds.items() if {"provisioningModel": "SPOT"} in c.get("scheduling", [])}
    assert spot == set(kinds) - {"head"}


def documents(path: Path) -> dict[str, Any]:
    return {found["kind"]: found for found in yaml.safe_load_all(text(path))}


def ray_cluster(path: Path) -> dict[str, Any]:
    found = documents(path)
    spec: dict[str, Any] = (
        found["RayJob"]["spec"]["rayClusterSpec"]
        if "RayJob" in found
        else found["RayCluster"]["spec"]
    )
    return spec


KUBERAY = [CLUSTERS / "kuberay_cluster.yaml", CLUSTERS / "kuberay_job.yaml"]
KUBERNETES = "1.31"


def check_resource(resource: dict[str, Any]) -> None:
    """KubeRay's own fields: their names, types and values."""
    jsonschema.validate(resource, json.loads((HERE / "kuberay_schema.json").read_text()))


def own_resource(path: Path) -> dict[str, Any]:
    (found,) = (kept for kept in documents(path).values() if kept["apiVersion"] == "ray.io/v1")
    return found


@pytest.mark.parametrize("path", KUBERAY, ids=name)
def test_kuberay_takes_the_file(path: Path) -> None:
    check_resource(own_resource(path))
    for group in ray_cluster(path)["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("authOptions", {"mode": "tokens"}),
        ("autoscalerOptions", {"idleTimeoutSeconds": "600"}),
        ("workerGroupSpecs", [{"groupName": "cpu"}]),
        ("headGroupSpec", {"rayStartParams": {"num-cpus": 0}, "template": {}}),
        ("workerGroups", []),
    ],
)
def test_the_schema_refuses_what_kuberay_would(key: str, value: object) -> None:
    resource = own_resource(KUBERAY[0])
    with pytest.raises(jsonschema.ValidationError):
        check_resource({**resource, "spec": {**resource["spec"], key: value}})


def pods(path: Path) -> list[dict[str, Any]]:
    """The pods of a cluster, in the resource of Kubernetes that holds nothing but one."""
    spec = ray_cluster(path)
    return [
        {
            "apiVersion": "v1",
            "kind": "PodTemplate",
            "metadata": {"name": "pod"},
            "template": group["template"],
        }
        for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])
    ]


@pytest.mark.parametrize("path", KUBERAY, ids=name)
def test_kubernetes_schema_takes_pods_and_claim(path: Path) -> None:
    for resource in (*pods(path), documents(path)["PersistentVolumeClaim"]):
        kubernetes_validate.validate(resource, KUBERNETES, strict=True)


@pytest.mark.parametrize(
    ("key", "value"), [("volumMounts", []), ("env", [{"name": "A", "value": 1}]), ("name", 3)]
)
def test_kubernetes_schema_refuses_what_it_does_not_know(key: str, value: object) -> None:
    pod = pods(KUBERAY[0])[0]
    pod["template"]["spec"]["containers"][0][key] = value
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)


@pytest.mark.parametrize("path", KUBERAY, ids=name)
def test_pods_mount_the_claim_of_their_file(path: Path) -> None:
    claim = documents(path)["PersistentVolumeClaim"]["metadata"]["name"]
    spec = ray_cluster(path)
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = group["template"]["spec"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for container in pod["containers"]:
            for mount in container["volumeMounts"]:
                found = volumes[mount["name"]]["persistentVolumeClaim"]["claimName"]
                assert (found, mount["mountPath"]) == (claim, "/results")


@pytest.mark.parametrize("path", KUBERAY, ids=name)
def test_pods_share_storage_that_all_can_write_and_ask_for_a_token(path: Path) -> None:
    claim = documents(path)["PersistentVolumeClaim"]["spec"]
    assert claim["accessModes"] == ["ReadWriteMany"]
    assert ray_cluster(path)["authOptions"] == {"mode": "token"}
    version = tuple(map(int, ray_cluster(path)["rayVersion"].split(".")))
    assert version >= (2, 52, 0)


def test_both_kuberay_files_describe_one_cluster() -> None:
    assert ray_cluster(KUBERAY[0]) == ray_cluster(KUBERAY[1])


def test_the_tables_of_the_readme_are_those_of_the_records() -> None:
    script = CLUSTERS.parent / "benchmarks" / "clusters" / "tables.py"
    done = subprocess.run([sys.executable, str(script), "--check"], check=False)
    assert done.returncode == 0, "run: python benchmarks/clusters/tables.py"


def test_the_ports_of_the_readme_are_those_of_the_script() -> None:
    given = text(CLUSTERS / "by_hand.sh")
    fixed = {int(port) for port in re.findall(r"--[a-z-]*port=(\d+)", given)}
    table = README[README.index("| port |") :]
    told = {int(port) for port in re.findall(r"^\| (\d+)", table, flags=re.M)}
    told |= {int(port) for port in re.findall(r"^\| \d+–(\d+)", table, flags=re.M)}
    # The last two are Ray's own, and no option moves them.
    assert fixed | {44217, 44227} == told
