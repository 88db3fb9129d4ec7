"""hdfs-native reads one file in parts, once before the clock starts. Runs in a venv of its own.

hdfs_native_read.py hdfs://HOST:PORT /path PART_BYTES, with HADOOP_CONF_DIR, KRB5_CONFIG and KRB5CCNAME.
Prints CPU seconds, user seconds, seconds and peak memory in MiB, as JSON.
"""

import json
import resource
import sys
import time

from hdfs_native import Client


def read(namenode: str, path: str, part_bytes: int) -> dict[str, float | str]:
    """Reads the whole file once."""
    client = Client(namenode)
    client.read(path).read(part_bytes)
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    reader = client.read(path)
    while reader.read(part_bytes):
        pass
    wall_s, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    user_s = after.ru_utime - before.ru_utime
    cpu_s = user_s + after.ru_stime - before.ru_stime
    return {"cpu_s": cpu_s, "user_s": user_s, "wall_s": wall_s, "peak_rss_mib": after.ru_maxrss / 1024, "crc32c": ""}


if __name__ == "__main__":
    print(json.dumps(read(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
