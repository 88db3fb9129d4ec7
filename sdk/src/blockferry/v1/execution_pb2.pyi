import datetime

from blockferry.v1 import failure_pb2 as _failure_pb2
from blockferry.v1 import task_pb2 as _task_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Execution(_message.Message):
    __slots__ = ("name", "state", "counters", "failures", "phases", "error_code", "error_detail", "create_time", "launch_time", "end_time", "traceparent", "options", "dry_run", "ledger_uri", "report_uri", "report_error", "revision")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Execution.State]
        STATE_QUEUED: _ClassVar[Execution.State]
        STATE_LAUNCHING: _ClassVar[Execution.State]
        STATE_PREPARING: _ClassVar[Execution.State]
        STATE_TRANSFERRING: _ClassVar[Execution.State]
        STATE_VERIFYING: _ClassVar[Execution.State]
        STATE_SUCCESS: _ClassVar[Execution.State]
        STATE_ERROR: _ClassVar[Execution.State]
        STATE_CANCELLING: _ClassVar[Execution.State]
        STATE_CANCELLED: _ClassVar[Execution.State]
    STATE_UNSPECIFIED: Execution.State
    STATE_QUEUED: Execution.State
    STATE_LAUNCHING: Execution.State
    STATE_PREPARING: Execution.State
    STATE_TRANSFERRING: Execution.State
    STATE_VERIFYING: Execution.State
    STATE_SUCCESS: Execution.State
    STATE_ERROR: Execution.State
    STATE_CANCELLING: Execution.State
    STATE_CANCELLED: Execution.State
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    PHASES_FIELD_NUMBER: _ClassVar[int]
    ERROR_CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_DETAIL_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    LEDGER_URI_FIELD_NUMBER: _ClassVar[int]
    REPORT_URI_FIELD_NUMBER: _ClassVar[int]
    REPORT_ERROR_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: Execution.State
    counters: Counters
    failures: _containers.RepeatedCompositeFieldContainer[_failure_pb2.Failure]
    phases: _containers.RepeatedCompositeFieldContainer[Phase]
    error_code: str
    error_detail: str
    create_time: _timestamp_pb2.Timestamp
    launch_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    traceparent: str
    options: _task_pb2.Options
    dry_run: bool
    ledger_uri: str
    report_uri: str
    report_error: str
    revision: int
    def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[Execution.State, str]] = ..., counters: _Optional[_Union[Counters, _Mapping]] = ..., failures: _Optional[_Iterable[_Union[_failure_pb2.Failure, _Mapping]]] = ..., phases: _Optional[_Iterable[_Union[Phase, _Mapping]]] = ..., error_code: _Optional[str] = ..., error_detail: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., launch_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., traceparent: _Optional[str] = ..., options: _Optional[_Union[_task_pb2.Options, _Mapping]] = ..., dry_run: bool = ..., ledger_uri: _Optional[str] = ..., report_uri: _Optional[str] = ..., report_error: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class Phase(_message.Message):
    __slots__ = ("name", "status", "start_time", "end_time")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[Phase.Status]
        STATUS_PENDING: _ClassVar[Phase.Status]
        STATUS_RUNNING: _ClassVar[Phase.Status]
        STATUS_SUCCESS: _ClassVar[Phase.Status]
        STATUS_ERROR: _ClassVar[Phase.Status]
    STATUS_UNSPECIFIED: Phase.Status
    STATUS_PENDING: Phase.Status
    STATUS_RUNNING: Phase.Status
    STATUS_SUCCESS: Phase.Status
    STATUS_ERROR: Phase.Status
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    status: Phase.Status
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., status: _Optional[_Union[Phase.Status, str]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Counters(_message.Message):
    __slots__ = ("source_listed_count", "source_listed_bytes", "destination_listed_count", "destination_listed_bytes", "estimated_count", "estimated_bytes", "skipped_count", "transferred_count", "transferred_bytes", "written_bytes", "verified_count", "verified_bytes", "prepare_failed_count", "transfer_failed_count", "verify_failed_count", "retry_count", "read_back_bytes", "estimated_folder_count", "estimated_verify_count", "estimated_metadata_count")
    SOURCE_LISTED_COUNT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_LISTED_BYTES_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_LISTED_COUNT_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_LISTED_BYTES_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_COUNT_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_BYTES_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_COUNT_FIELD_NUMBER: _ClassVar[int]
    TRANSFERRED_COUNT_FIELD_NUMBER: _ClassVar[int]
    TRANSFERRED_BYTES_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_BYTES_FIELD_NUMBER: _ClassVar[int]
    VERIFIED_COUNT_FIELD_NUMBER: _ClassVar[int]
    VERIFIED_BYTES_FIELD_NUMBER: _ClassVar[int]
    PREPARE_FAILED_COUNT_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_FAILED_COUNT_FIELD_NUMBER: _ClassVar[int]
    VERIFY_FAILED_COUNT_FIELD_NUMBER: _ClassVar[int]
    RETRY_COUNT_FIELD_NUMBER: _ClassVar[int]
    READ_BACK_BYTES_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_FOLDER_COUNT_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_VERIFY_COUNT_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_METADATA_COUNT_FIELD_NUMBER: _ClassVar[int]
    source_listed_count: int
    source_listed_bytes: int
    destination_listed_count: int
    destination_listed_bytes: int
    estimated_count: int
    estimated_bytes: int
    skipped_count: int
    transferred_count: int
    transferred_bytes: int
    written_bytes: int
    verified_count: int
    verified_bytes: int
    prepare_failed_count: int
    transfer_failed_count: int
    verify_failed_count: int
    retry_count: int
    read_back_bytes: int
    estimated_folder_count: int
    estimated_verify_count: int
    estimated_metadata_count: int
    def __init__(self, source_listed_count: _Optional[int] = ..., source_listed_bytes: _Optional[int] = ..., destination_listed_count: _Optional[int] = ..., destination_listed_bytes: _Optional[int] = ..., estimated_count: _Optional[int] = ..., estimated_bytes: _Optional[int] = ..., skipped_count: _Optional[int] = ..., transferred_count: _Optional[int] = ..., transferred_bytes: _Optional[int] = ..., written_bytes: _Optional[int] = ..., verified_count: _Optional[int] = ..., verified_bytes: _Optional[int] = ..., prepare_failed_count: _Optional[int] = ..., transfer_failed_count: _Optional[int] = ..., verify_failed_count: _Optional[int] = ..., retry_count: _Optional[int] = ..., read_back_bytes: _Optional[int] = ..., estimated_folder_count: _Optional[int] = ..., estimated_verify_count: _Optional[int] = ..., estimated_metadata_count: _Optional[int] = ...) -> None: ...

class RunTaskRequest(_message.Message):
    __slots__ = ("name", "request_id", "validate_only", "dry_run", "options")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    request_id: str
    validate_only: bool
    dry_run: bool
    options: _task_pb2.Options
    def __init__(self, name: _Optional[str] = ..., request_id: _Optional[str] = ..., validate_only: bool = ..., dry_run: bool = ..., options: _Optional[_Union[_task_pb2.Options, _Mapping]] = ...) -> None: ...

class GetExecutionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListExecutionsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListExecutionsResponse(_message.Message):
    __slots__ = ("executions", "next_page_token")
    EXECUTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    executions: _containers.RepeatedCompositeFieldContainer[Execution]
    next_page_token: str
    def __init__(self, executions: _Optional[_Iterable[_Union[Execution, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CancelExecutionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class WatchExecutionRequest(_message.Message):
    __slots__ = ("name", "after_revision")
    NAME_FIELD_NUMBER: _ClassVar[int]
    AFTER_REVISION_FIELD_NUMBER: _ClassVar[int]
    name: str
    after_revision: int
    def __init__(self, name: _Optional[str] = ..., after_revision: _Optional[int] = ...) -> None: ...

class WatchExecutionResponse(_message.Message):
    __slots__ = ("execution",)
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    execution: Execution
    def __init__(self, execution: _Optional[_Union[Execution, _Mapping]] = ...) -> None: ...
