"""The active NameNode dies in the middle of a whole copy: the run goes on at the next one, and nothing is missing."""

import threading
from pathlib import Path

from tests.support.ferry import Ferry, objects, stop
from tests.support.hdfs import HdfsCluster
from tests.support.processes import wait_for
from tests.support.s3 import SeaweedServer
from tests.support.tree import FileSpec
from tests.support.trees import expected

# Files that not everybody may read: the mover asks the NameNode where their blocks are, one by one.
FILES = tuple((f"{number // 50:02}/{number:04}", 3000 + number) for number in range(900))
LARGE = tuple((f"large/{number}", (20 << 20) + number) for number in range(8))


def test_a_copy_survives_the_death_of_the_active_namenode(
    ha_hdfs: HdfsCluster, seaweed: SeaweedServer, folder_name: str, bucket_name: str, tmp_path: Path
) -> None:
    tree = tuple(FileSpec(f"{folder_name}/{path}", size=size, seed=size, mode=0o600) for path, size in (*FILES, *LARGE))
    ha_hdfs.make(tree)
    seaweed.make_bucket(bucket_name)
    ferry = Ferry(tmp_path, seaweed)
    run = ferry.begin(f"hdfs://ns1{folder_name}", f"s3://{bucket_name}", "--hdfs-conf", str(ha_hdfs.conf_folder))
    try:
        wait_for("an object", lambda: run.poll() is not None or bool(_count(seaweed, bucket_name)), deadline_s=120)
        ha_hdfs.kill("namenode")
        promotion = threading.Thread(target=ha_hdfs.fail_over, args=("namenode2",))
        promotion.start()
        moved = _count(seaweed, bucket_name)
        assert run.poll() is None, run.communicate()
        assert moved < len(tree), "the copy was over before the NameNode was killed"
        output, errors = run.communicate(timeout=240)
        promotion.join()
        done = ferry.ended(run.returncode, output, errors)
    finally:
        stop(run)
        ha_hdfs.restore()
    assert (done.exit_code, done.state, done.failed) == (0, "SUCCESS", {}), (done.errors, done.execution)
    whole = expected(tree, folder_name)
    assert objects(seaweed, bucket_name) == whole
    assert done.count("transferred_count") == done.count("verified_count") == len(whole)


def _count(server: SeaweedServer, bucket: str) -> int:
    return int(server.client().list_objects_v2(Bucket=bucket)["KeyCount"])
