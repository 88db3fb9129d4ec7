"""What AES-CTR in place costs: CPU seconds per GiB, by key size, alone and with the CRC32C of what it gives.

    python -m bench.aes_ctr [--mib 1024] [--runs 5]

Works on one buffer of 8 MiB again and again, 1 MiB at a time, as the reader of encrypted files does. Prints medians.
"""

from __future__ import annotations

import argparse
import statistics
import time

from stores.checksum import Algorithm
from stores.hashing import Hasher
from stores.hdfs.security.aes_ctr import KEY_SIZES, AesCtr

MIB = 1 << 20
BUFFER_MIB = 8


def cpu_s_per_gib(key_bytes: int, size_mib: int, hashed: bool) -> float:
    """Returns what one pass over `size_mib` costs."""
    view = memoryview(bytearray(BUFFER_MIB * MIB))
    hasher = Hasher(Algorithm.CRC32C)
    begin = time.process_time()
    with AesCtr(bytes(key_bytes), bytes(16)) as stream:
        for number in range(size_mib):
            at = number % BUFFER_MIB * MIB
            stream.crypt(view[at : at + MIB])
            if hashed:
                hasher.update(view[at : at + MIB])
    return (time.process_time() - begin) * 1024 / size_mib


def main() -> None:
    """Prints one line per key size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print("key bits  AES-CTR  with CRC32C   (CPU s/GiB)")
    for key_bytes in KEY_SIZES:
        alone, hashed = (
            statistics.median(cpu_s_per_gib(key_bytes, options.mib, kind) for _ in range(options.runs))
            for kind in (False, True)
        )
        print(f"{8 * key_bytes:8}  {alone:7.3f}  {hashed:11.3f}")


if __name__ == "__main__":
    main()
