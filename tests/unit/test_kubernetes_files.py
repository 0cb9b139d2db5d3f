"""The Kubernetes files have the shape that they need; they were not run on a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pathopipe.batch.shards import Shard
from pathopipe.engine.cluster_file import read_cluster_file

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "workflows" / "kubernetes"


def documents(name: str) -> list[dict]:
    return [each for each in yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")) if each]


def pods() -> dict[str, dict]:
    """Every pod that the files describe, by what it is."""
    cluster = documents("cluster.yaml")[0]["spec"]
    return {
        "shards": documents("shards.yaml")[0]["spec"]["template"]["spec"],
        "run": documents("run.yaml")[0]["spec"]["template"]["spec"],
        "worker": cluster["worker"]["spec"],
        "scheduler": cluster["scheduler"]["spec"],
    }


@pytest.mark.parametrize("name", ["storage.yaml", "shards.yaml", "cluster.yaml", "run.yaml"])
def test_every_document_says_what_it_is(name):
    for each in documents(name):
        assert {"apiVersion", "kind", "metadata", "spec"} <= each.keys()
        assert each["metadata"]["name"]


def test_all_pods_have_one_image_and_memory_limits():
    containers = [container for pod in pods().values() for container in pod["containers"]]
    assert len({container["image"] for container in containers}) == 1
    assert not containers[0]["image"].endswith(":latest")
    assert all("memory" in container["resources"]["limits"] for container in containers)


@pytest.mark.parametrize("name", ["shards", "run", "worker"])
def test_pods_see_the_claims_at_the_same_paths(name):
    claims = {each["metadata"]["name"] for each in documents("storage.yaml")}
    pod = pods()[name]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts == {"/slides": "slides", "/results": "results", "/tmp": "scratch"}
    assert {volumes[each]["persistentVolumeClaim"]["claimName"] for each in ("slides", "results")} == claims


def test_results_can_be_written_by_many_pods():
    modes = {each["metadata"]["name"]: each["spec"]["accessModes"] for each in documents("storage.yaml")}
    assert modes == {"slides": ["ReadOnlyMany"], "results": ["ReadWriteMany"]}


def test_the_shards_of_the_job_are_as_many_as_it_completes():
    spec = documents("shards.yaml")[0]["spec"]
    container = spec["template"]["spec"]["containers"][0]
    shards = {each["name"]: each["value"] for each in container["env"]}["SHARDS"]
    assert spec["completionMode"] == "Indexed"
    assert int(shards) == spec["completions"] >= spec["parallelism"]
    assert str(Shard.parse(f"{spec['completions']}/{shards}"))
    (script,) = container["args"]
    assert '--shard "$((JOB_COMPLETION_INDEX + 1))/$SHARDS"' in script
    codes = {rule["action"]: rule["onExitCodes"]["values"] for rule in spec["podFailurePolicy"]["rules"][1:]}
    assert codes == {"FailJob": [2], "FailIndex": [1]}  # the exit codes of `pathopipe run`


def test_workers_have_one_thread_and_the_run_finds_their_scheduler():
    worker = pods()["worker"]["containers"][0]["args"]
    assert worker[worker.index("--nthreads") + 1] == "1"
    cluster = documents("cluster.yaml")[0]
    run = pods()["run"]["containers"][0]["args"]
    ports = {port["name"]: port["port"] for port in cluster["spec"]["scheduler"]["service"]["ports"]}
    name = cluster["metadata"]["name"]
    assert run[run.index("--cluster") + 1] == f"tcp://{name}-scheduler:{ports['tcp-comm']}"
    assert cluster["spec"]["scheduler"]["service"]["selector"]["dask.org/cluster-name"] == name


def test_the_cluster_file_names_the_manifest():
    file = read_cluster_file(ROOT / "configs" / "clusters" / "kubernetes.yaml")
    assert (ROOT / file.options["custom_cluster_spec"]).samefile(FOLDER / "cluster.yaml")


@pytest.mark.parametrize("name", ["Job shards.yaml", "Job run.yaml", "PersistentVolumeClaim storage.yaml"])
def test_kubernetes_knows_every_key(name):
    models = strict_models()
    kind, file = name.split()
    for each in documents(file):
        getattr(models, f"V1{kind}").model_validate(each)


def test_kubernetes_knows_every_key_of_the_clusters_pods():
    models = strict_models()
    cluster = documents("cluster.yaml")[0]["spec"]
    assert cluster.keys() == {"worker", "scheduler"}
    for pod in (cluster["worker"]["spec"], cluster["scheduler"]["spec"]):
        models.V1PodSpec.model_validate(pod)
    models.V1ServiceSpec.model_validate(cluster["scheduler"]["service"])


def strict_models():
    """Of Kubernetes' Python client, which comes with pathopipe[kubernetes]; from 37 on they refuse unknown keys."""
    models = pytest.importorskip("kubernetes.client.models", reason="needs pathopipe[kubernetes]")
    if not hasattr(models.V1PodSpec, "model_validate"):
        pytest.skip("needs the Python client of Kubernetes 37 or newer")
    return models
