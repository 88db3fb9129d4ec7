from service.v1 import job_pb2 as _job_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MoveShardRequest(_message.Message):
    __slots__ = ("job", "shard", "attempt", "claims_trusted")
    JOB_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    CLAIMS_TRUSTED_FIELD_NUMBER: _ClassVar[int]
    job: _job_pb2.Job
    shard: str
    attempt: int
    claims_trusted: bool
    def __init__(self, job: _Optional[_Union[_job_pb2.Job, _Mapping]] = ..., shard: _Optional[str] = ..., attempt: _Optional[int] = ..., claims_trusted: bool = ...) -> None: ...

class MoveShardResponse(_message.Message):
    __slots__ = ("progress", "shard_moved")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    SHARD_MOVED_FIELD_NUMBER: _ClassVar[int]
    progress: MoveProgress
    shard_moved: ShardMoved
    def __init__(self, progress: _Optional[_Union[MoveProgress, _Mapping]] = ..., shard_moved: _Optional[_Union[ShardMoved, _Mapping]] = ...) -> None: ...

class MoveProgress(_message.Message):
    __slots__ = ("transferred_count", "transferred_bytes", "written_bytes", "failed_count", "retry_count")
    TRANSFERRED_COUNT_FIELD_NUMBER: _ClassVar[int]
    TRANSFERRED_BYTES_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_BYTES_FIELD_NUMBER: _ClassVar[int]
    FAILED_COUNT_FIELD_NUMBER: _ClassVar[int]
    RETRY_COUNT_FIELD_NUMBER: _ClassVar[int]
    transferred_count: int
    transferred_bytes: int
    written_bytes: int
    failed_count: int
    retry_count: int
    def __init__(self, transferred_count: _Optional[int] = ..., transferred_bytes: _Optional[int] = ..., written_bytes: _Optional[int] = ..., failed_count: _Optional[int] = ..., retry_count: _Optional[int] = ...) -> None: ...

class ShardMoved(_message.Message):
    __slots__ = ("receipts", "counts", "failures")
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    receipts: str
    counts: MoveProgress
    failures: _containers.RepeatedCompositeFieldContainer[_job_pb2.FailureGroup]
    def __init__(self, receipts: _Optional[str] = ..., counts: _Optional[_Union[MoveProgress, _Mapping]] = ..., failures: _Optional[_Iterable[_Union[_job_pb2.FailureGroup, _Mapping]]] = ...) -> None: ...

class AbortUploadsRequest(_message.Message):
    __slots__ = ("job", "shard")
    JOB_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    job: _job_pb2.Job
    shard: str
    def __init__(self, job: _Optional[_Union[_job_pb2.Job, _Mapping]] = ..., shard: _Optional[str] = ...) -> None: ...

class AbortUploadsResponse(_message.Message):
    __slots__ = ("aborted_count",)
    ABORTED_COUNT_FIELD_NUMBER: _ClassVar[int]
    aborted_count: int
    def __init__(self, aborted_count: _Optional[int] = ...) -> None: ...
