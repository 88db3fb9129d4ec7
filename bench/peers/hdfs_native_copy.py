"""The naive Python way: hdfs-native lists and reads, boto3 writes, a pool of threads. Runs in a venv of its own.

hdfs_native_copy.py hdfs://HOST:PORT /root ENDPOINT BUCKET PREFIX THREADS [again]
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config
from hdfs_native import Client

SMALL = 8 << 20  # boto3's own threshold for multipart


class Copy:
    """Copies the files below a folder, `thread_count` at a time."""

    def __init__(self, namenode: str, root: str, endpoint: str, bucket: str, prefix: str, thread_count: int) -> None:
        self.hdfs, self.root, self.bucket, self.prefix = Client(namenode), root, bucket, prefix
        config = Config(s3={"addressing_style": "path"}, max_pool_connections=max(10, 10 * thread_count))
        self.s3 = boto3.client("s3", endpoint_url=endpoint, config=config)
        self.pool = ThreadPoolExecutor(thread_count)

    def key(self, path: str) -> str:
        """Returns the key of a file."""
        return self.prefix + path.removeprefix(self.root)

    def found(self) -> dict[str, tuple[int, float]]:
        """Returns size and time of every object that is there."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=f"{self.prefix}/")
        items = (item for page in pages for item in page.get("Contents", ()))
        return {item["Key"]: (item["Size"], item["LastModified"].timestamp()) for item in items}

    def one(self, path: str, size: int) -> None:
        """Copies one file."""
        reader = self.hdfs.read(path)
        if size <= SMALL:
            self.s3.put_object(Bucket=self.bucket, Key=self.key(path), Body=reader.read())
        else:
            self.s3.upload_fileobj(reader, self.bucket, self.key(path))

    def run(self, again: bool) -> None:
        """Copies all files, or only those whose object is of another size or older."""
        there = self.found() if again else {}
        running = []
        for status in self.hdfs.list_status(self.root, recursive=True):
            size, time = there.get(self.key(status.path), (-1, 0.0))
            same = size == status.length and time >= status.modification_time // 1000
            if not status.isdir and not same:
                running.append(self.pool.submit(self.one, status.path, status.length))
        for future in running:
            future.result()
        print(f"{len(running)} files copied")


if __name__ == "__main__":
    namenode, root, endpoint, bucket, prefix, threads = sys.argv[1:7]
    Copy(namenode, root, endpoint, bucket, prefix, int(threads)).run(sys.argv[7:] == ["again"])
