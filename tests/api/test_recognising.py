"""A cluster's file is recognised by what stands in it, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from toprung.api.clusters import read_cluster
from toprung.core.errors import FixSpec

CLUSTERS = Path(__file__).parents[2] / "clusters"
KINDS = {
    "this_machine.sh": ("by hand", "bash FILE"),
    "by_hand.sh": ("by hand", "bash FILE worker HEAD"),
    "on_premises.yaml": ("ray up", "ray up FILE"),
    "aws.yaml": ("ray up", "ray up FILE"),
    "gcp.yaml": ("ray up", "ray dashboard FILE"),
    "kuberay_cluster.yaml": ("KubeRay cluster", "kubectl apply -f FILE"),
    "kuberay_job.yaml": ("KubeRay job", "kubectl apply -f FILE"),
    "slurm.sbatch": ("Slurm", "sbatch FILE SPEC"),
}


def test_every_file_of_the_folder_is_known_here() -> None:
    assert {path.name for path in CLUSTERS.iterdir()} - {"README.md"} == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_a_file_is_recognised_whatever_it_is_called(name: str, tmp_path: Path) -> None:
    copy = tmp_path / "my cluster"
    copy.write_bytes((CLUSTERS / name).read_bytes())
    kind, command = KINDS[name]
    found = read_cluster(str(copy))
    assert found.kind == kind
    assert command.replace("FILE", f"'{copy}'") in [line for line, _ in found.commands]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "describes no cluster"),
        (b"task: single_label\ndata: {corpus: tickets}\n", "describes no cluster"),
        (b"#!/bin/bash\n# ray start is not called here\necho hello\n", "describes no cluster"),
        (b"apiVersion: ray.io/v1\nkind: RayService\n", "RayService"),
        (b"cluster_name: &a x\nprovider: *a\n", "aliases"),
        (b"!!python/object/apply:os.system [echo]\n", "describes no cluster"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"a: " + b"[" * 5000, "nested deeper"),
        (b"#" * 300_000, "larger than"),
    ],
    ids=range(9),
)
def test_anything_else_is_one_problem_in_words(text: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(text)
    with pytest.raises(FixSpec, match=said):
        read_cluster(str(file))


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(FixSpec, match="No such file"):
        read_cluster(str(tmp_path / "none.yaml"))
    with pytest.raises(FixSpec, match="directory"):
        read_cluster(str(tmp_path))
