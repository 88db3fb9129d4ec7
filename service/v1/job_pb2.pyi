from blockferry.v1 import location_pb2 as _location_pb2
from blockferry.v1 import task_pb2 as _task_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Job(_message.Message):
    __slots__ = ("execution", "ledger_uri", "source", "destination", "options", "earlier_ledger_uris")
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    LEDGER_URI_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    EARLIER_LEDGER_URIS_FIELD_NUMBER: _ClassVar[int]
    execution: str
    ledger_uri: str
    source: _location_pb2.Location
    destination: _location_pb2.Location
    options: _task_pb2.Options
    earlier_ledger_uris: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, execution: _Optional[str] = ..., ledger_uri: _Optional[str] = ..., source: _Optional[_Union[_location_pb2.Location, _Mapping]] = ..., destination: _Optional[_Union[_location_pb2.Location, _Mapping]] = ..., options: _Optional[_Union[_task_pb2.Options, _Mapping]] = ..., earlier_ledger_uris: _Optional[_Iterable[str]] = ...) -> None: ...

class FailureGroup(_message.Message):
    __slots__ = ("reason", "code", "message", "metadata", "failure_count", "sample_paths")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REASON_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    FAILURE_COUNT_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_PATHS_FIELD_NUMBER: _ClassVar[int]
    reason: str
    code: int
    message: str
    metadata: _containers.ScalarMap[str, str]
    failure_count: int
    sample_paths: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, reason: _Optional[str] = ..., code: _Optional[int] = ..., message: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., failure_count: _Optional[int] = ..., sample_paths: _Optional[_Iterable[str]] = ...) -> None: ...
