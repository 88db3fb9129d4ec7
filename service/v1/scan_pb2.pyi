from blockferry.v1 import location_pb2 as _location_pb2
from service.v1 import job_pb2 as _job_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ScanRequest(_message.Message):
    __slots__ = ("job", "purpose", "cursor", "attempt")
    class Purpose(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        PURPOSE_UNSPECIFIED: _ClassVar[ScanRequest.Purpose]
        PURPOSE_TRANSFER: _ClassVar[ScanRequest.Purpose]
        PURPOSE_CHECK: _ClassVar[ScanRequest.Purpose]
    PURPOSE_UNSPECIFIED: ScanRequest.Purpose
    PURPOSE_TRANSFER: ScanRequest.Purpose
    PURPOSE_CHECK: ScanRequest.Purpose
    JOB_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    job: _job_pb2.Job
    purpose: ScanRequest.Purpose
    cursor: ScanCursor
    attempt: int
    def __init__(self, job: _Optional[_Union[_job_pb2.Job, _Mapping]] = ..., purpose: _Optional[_Union[ScanRequest.Purpose, str]] = ..., cursor: _Optional[_Union[ScanCursor, _Mapping]] = ..., attempt: _Optional[int] = ...) -> None: ...

class ScanCursor(_message.Message):
    __slots__ = ("shard_number", "last_path", "counts")
    SHARD_NUMBER_FIELD_NUMBER: _ClassVar[int]
    LAST_PATH_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    shard_number: int
    last_path: str
    counts: ScanCounts
    def __init__(self, shard_number: _Optional[int] = ..., last_path: _Optional[str] = ..., counts: _Optional[_Union[ScanCounts, _Mapping]] = ...) -> None: ...

class ScanCounts(_message.Message):
    __slots__ = ("source_listed_count", "source_listed_bytes", "destination_listed_count", "destination_listed_bytes", "estimated_count", "estimated_bytes", "estimated_folder_count", "estimated_metadata_count", "skipped_count", "failed_count")
    SOURCE_LISTED_COUNT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_LISTED_BYTES_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_LISTED_COUNT_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_LISTED_BYTES_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_COUNT_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_BYTES_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_FOLDER_COUNT_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_METADATA_COUNT_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILED_COUNT_FIELD_NUMBER: _ClassVar[int]
    source_listed_count: int
    source_listed_bytes: int
    destination_listed_count: int
    destination_listed_bytes: int
    estimated_count: int
    estimated_bytes: int
    estimated_folder_count: int
    estimated_metadata_count: int
    skipped_count: int
    failed_count: int
    def __init__(self, source_listed_count: _Optional[int] = ..., source_listed_bytes: _Optional[int] = ..., destination_listed_count: _Optional[int] = ..., destination_listed_bytes: _Optional[int] = ..., estimated_count: _Optional[int] = ..., estimated_bytes: _Optional[int] = ..., estimated_folder_count: _Optional[int] = ..., estimated_metadata_count: _Optional[int] = ..., skipped_count: _Optional[int] = ..., failed_count: _Optional[int] = ...) -> None: ...

class ScanResponse(_message.Message):
    __slots__ = ("shard_planned", "progress", "scan_ended")
    SHARD_PLANNED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    SCAN_ENDED_FIELD_NUMBER: _ClassVar[int]
    shard_planned: ShardPlanned
    progress: ScanProgress
    scan_ended: ScanEnded
    def __init__(self, shard_planned: _Optional[_Union[ShardPlanned, _Mapping]] = ..., progress: _Optional[_Union[ScanProgress, _Mapping]] = ..., scan_ended: _Optional[_Union[ScanEnded, _Mapping]] = ...) -> None: ...

class ShardPlanned(_message.Message):
    __slots__ = ("shard", "move_count", "move_bytes", "verify_count", "cursor", "failures")
    SHARD_FIELD_NUMBER: _ClassVar[int]
    MOVE_COUNT_FIELD_NUMBER: _ClassVar[int]
    MOVE_BYTES_FIELD_NUMBER: _ClassVar[int]
    VERIFY_COUNT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    shard: str
    move_count: int
    move_bytes: int
    verify_count: int
    cursor: ScanCursor
    failures: _containers.RepeatedCompositeFieldContainer[_job_pb2.FailureGroup]
    def __init__(self, shard: _Optional[str] = ..., move_count: _Optional[int] = ..., move_bytes: _Optional[int] = ..., verify_count: _Optional[int] = ..., cursor: _Optional[_Union[ScanCursor, _Mapping]] = ..., failures: _Optional[_Iterable[_Union[_job_pb2.FailureGroup, _Mapping]]] = ...) -> None: ...

class ScanProgress(_message.Message):
    __slots__ = ("counts",)
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    counts: ScanCounts
    def __init__(self, counts: _Optional[_Union[ScanCounts, _Mapping]] = ...) -> None: ...

class ScanEnded(_message.Message):
    __slots__ = ("counts",)
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    counts: ScanCounts
    def __init__(self, counts: _Optional[_Union[ScanCounts, _Mapping]] = ...) -> None: ...

class PrepareRequest(_message.Message):
    __slots__ = ("job", "dry_run")
    JOB_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    job: _job_pb2.Job
    dry_run: bool
    def __init__(self, job: _Optional[_Union[_job_pb2.Job, _Mapping]] = ..., dry_run: bool = ...) -> None: ...

class PrepareResponse(_message.Message):
    __slots__ = ("claims_trusted", "claims_detail")
    CLAIMS_TRUSTED_FIELD_NUMBER: _ClassVar[int]
    CLAIMS_DETAIL_FIELD_NUMBER: _ClassVar[int]
    claims_trusted: bool
    claims_detail: str
    def __init__(self, claims_trusted: bool = ..., claims_detail: _Optional[str] = ...) -> None: ...

class CheckLocationRequest(_message.Message):
    __slots__ = ("location", "write")
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    WRITE_FIELD_NUMBER: _ClassVar[int]
    location: _location_pb2.Location
    write: bool
    def __init__(self, location: _Optional[_Union[_location_pb2.Location, _Mapping]] = ..., write: bool = ...) -> None: ...

class CheckLocationResponse(_message.Message):
    __slots__ = ("checks",)
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    checks: _containers.RepeatedCompositeFieldContainer[_location_pb2.LocationCheck]
    def __init__(self, checks: _Optional[_Iterable[_Union[_location_pb2.LocationCheck, _Mapping]]] = ...) -> None: ...
