import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Task(_message.Message):
    __slots__ = ("name", "source", "destination", "options", "description", "create_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    source: str
    destination: str
    options: Options
    description: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., source: _Optional[str] = ..., destination: _Optional[str] = ..., options: _Optional[_Union[Options, _Mapping]] = ..., description: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Options(_message.Message):
    __slots__ = ("verify", "transfer", "open_files", "untrusted_store", "part_size_bytes", "report_uri")
    class Verify(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VERIFY_UNSPECIFIED: _ClassVar[Options.Verify]
        VERIFY_ONLY_FILES_TRANSFERRED: _ClassVar[Options.Verify]
        VERIFY_POINT_IN_TIME_CONSISTENT: _ClassVar[Options.Verify]
        VERIFY_NONE: _ClassVar[Options.Verify]
    VERIFY_UNSPECIFIED: Options.Verify
    VERIFY_ONLY_FILES_TRANSFERRED: Options.Verify
    VERIFY_POINT_IN_TIME_CONSISTENT: Options.Verify
    VERIFY_NONE: Options.Verify
    class Transfer(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TRANSFER_UNSPECIFIED: _ClassVar[Options.Transfer]
        TRANSFER_CHANGED: _ClassVar[Options.Transfer]
        TRANSFER_ALL: _ClassVar[Options.Transfer]
    TRANSFER_UNSPECIFIED: Options.Transfer
    TRANSFER_CHANGED: Options.Transfer
    TRANSFER_ALL: Options.Transfer
    class OpenFiles(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OPEN_FILES_UNSPECIFIED: _ClassVar[Options.OpenFiles]
        OPEN_FILES_COPY: _ClassVar[Options.OpenFiles]
        OPEN_FILES_FAIL: _ClassVar[Options.OpenFiles]
    OPEN_FILES_UNSPECIFIED: Options.OpenFiles
    OPEN_FILES_COPY: Options.OpenFiles
    OPEN_FILES_FAIL: Options.OpenFiles
    class UntrustedStore(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNTRUSTED_STORE_UNSPECIFIED: _ClassVar[Options.UntrustedStore]
        UNTRUSTED_STORE_READ_BACK: _ClassVar[Options.UntrustedStore]
        UNTRUSTED_STORE_REFUSE: _ClassVar[Options.UntrustedStore]
    UNTRUSTED_STORE_UNSPECIFIED: Options.UntrustedStore
    UNTRUSTED_STORE_READ_BACK: Options.UntrustedStore
    UNTRUSTED_STORE_REFUSE: Options.UntrustedStore
    VERIFY_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_FIELD_NUMBER: _ClassVar[int]
    OPEN_FILES_FIELD_NUMBER: _ClassVar[int]
    UNTRUSTED_STORE_FIELD_NUMBER: _ClassVar[int]
    PART_SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    REPORT_URI_FIELD_NUMBER: _ClassVar[int]
    verify: Options.Verify
    transfer: Options.Transfer
    open_files: Options.OpenFiles
    untrusted_store: Options.UntrustedStore
    part_size_bytes: int
    report_uri: str
    def __init__(self, verify: _Optional[_Union[Options.Verify, str]] = ..., transfer: _Optional[_Union[Options.Transfer, str]] = ..., open_files: _Optional[_Union[Options.OpenFiles, str]] = ..., untrusted_store: _Optional[_Union[Options.UntrustedStore, str]] = ..., part_size_bytes: _Optional[int] = ..., report_uri: _Optional[str] = ...) -> None: ...

class CreateTaskRequest(_message.Message):
    __slots__ = ("task", "task_id", "request_id", "validate_only")
    TASK_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    task: Task
    task_id: str
    request_id: str
    validate_only: bool
    def __init__(self, task: _Optional[_Union[Task, _Mapping]] = ..., task_id: _Optional[str] = ..., request_id: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class GetTaskRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListTasksRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListTasksResponse(_message.Message):
    __slots__ = ("tasks", "next_page_token")
    TASKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[Task]
    next_page_token: str
    def __init__(self, tasks: _Optional[_Iterable[_Union[Task, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
