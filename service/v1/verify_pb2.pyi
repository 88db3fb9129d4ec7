from service.v1 import job_pb2 as _job_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class VerifyShardRequest(_message.Message):
    __slots__ = ("job", "shard", "attempt", "receipts", "claims_trusted")
    JOB_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    CLAIMS_TRUSTED_FIELD_NUMBER: _ClassVar[int]
    job: _job_pb2.Job
    shard: str
    attempt: int
    receipts: str
    claims_trusted: bool
    def __init__(self, job: _Optional[_Union[_job_pb2.Job, _Mapping]] = ..., shard: _Optional[str] = ..., attempt: _Optional[int] = ..., receipts: _Optional[str] = ..., claims_trusted: bool = ...) -> None: ...

class VerifyShardResponse(_message.Message):
    __slots__ = ("progress", "shard_verified")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    SHARD_VERIFIED_FIELD_NUMBER: _ClassVar[int]
    progress: VerifyProgress
    shard_verified: ShardVerified
    def __init__(self, progress: _Optional[_Union[VerifyProgress, _Mapping]] = ..., shard_verified: _Optional[_Union[ShardVerified, _Mapping]] = ...) -> None: ...

class VerifyProgress(_message.Message):
    __slots__ = ("verified_count", "verified_bytes", "failed_count", "read_back_bytes", "retry_count")
    VERIFIED_COUNT_FIELD_NUMBER: _ClassVar[int]
    VERIFIED_BYTES_FIELD_NUMBER: _ClassVar[int]
    FAILED_COUNT_FIELD_NUMBER: _ClassVar[int]
    READ_BACK_BYTES_FIELD_NUMBER: _ClassVar[int]
    RETRY_COUNT_FIELD_NUMBER: _ClassVar[int]
    verified_count: int
    verified_bytes: int
    failed_count: int
    read_back_bytes: int
    retry_count: int
    def __init__(self, verified_count: _Optional[int] = ..., verified_bytes: _Optional[int] = ..., failed_count: _Optional[int] = ..., read_back_bytes: _Optional[int] = ..., retry_count: _Optional[int] = ...) -> None: ...

class ShardVerified(_message.Message):
    __slots__ = ("verdicts", "counts", "failures")
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    verdicts: str
    counts: VerifyProgress
    failures: _containers.RepeatedCompositeFieldContainer[_job_pb2.FailureGroup]
    def __init__(self, verdicts: _Optional[str] = ..., counts: _Optional[_Union[VerifyProgress, _Mapping]] = ..., failures: _Optional[_Iterable[_Union[_job_pb2.FailureGroup, _Mapping]]] = ...) -> None: ...

class WriteReportRequest(_message.Message):
    __slots__ = ("job", "summary_json", "shards")
    JOB_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_JSON_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    job: _job_pb2.Job
    summary_json: str
    shards: _containers.RepeatedCompositeFieldContainer[ReportShard]
    def __init__(self, job: _Optional[_Union[_job_pb2.Job, _Mapping]] = ..., summary_json: _Optional[str] = ..., shards: _Optional[_Iterable[_Union[ReportShard, _Mapping]]] = ...) -> None: ...

class ReportShard(_message.Message):
    __slots__ = ("shard", "receipts", "verdicts")
    SHARD_FIELD_NUMBER: _ClassVar[int]
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    shard: str
    receipts: str
    verdicts: str
    def __init__(self, shard: _Optional[str] = ..., receipts: _Optional[str] = ..., verdicts: _Optional[str] = ...) -> None: ...

class WriteReportResponse(_message.Message):
    __slots__ = ("report_uri",)
    REPORT_URI_FIELD_NUMBER: _ClassVar[int]
    report_uri: str
    def __init__(self, report_uri: _Optional[str] = ...) -> None: ...
