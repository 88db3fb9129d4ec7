import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Location(_message.Message):
    __slots__ = ("name", "hdfs", "s3", "description", "uri", "create_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    HDFS_FIELD_NUMBER: _ClassVar[int]
    S3_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    hdfs: HdfsLocation
    s3: S3Location
    description: str
    uri: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., hdfs: _Optional[_Union[HdfsLocation, _Mapping]] = ..., s3: _Optional[_Union[S3Location, _Mapping]] = ..., description: _Optional[str] = ..., uri: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class HdfsLocation(_message.Message):
    __slots__ = ("namenodes", "root", "user", "nameservice", "conf_dir", "principal", "keytab", "krb5_conf", "kms_uri", "rpc_protection", "transfer_protection")
    class Protection(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        PROTECTION_UNSPECIFIED: _ClassVar[HdfsLocation.Protection]
        PROTECTION_AUTHENTICATION: _ClassVar[HdfsLocation.Protection]
        PROTECTION_INTEGRITY: _ClassVar[HdfsLocation.Protection]
        PROTECTION_PRIVACY: _ClassVar[HdfsLocation.Protection]
    PROTECTION_UNSPECIFIED: HdfsLocation.Protection
    PROTECTION_AUTHENTICATION: HdfsLocation.Protection
    PROTECTION_INTEGRITY: HdfsLocation.Protection
    PROTECTION_PRIVACY: HdfsLocation.Protection
    NAMENODES_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    NAMESERVICE_FIELD_NUMBER: _ClassVar[int]
    CONF_DIR_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    KEYTAB_FIELD_NUMBER: _ClassVar[int]
    KRB5_CONF_FIELD_NUMBER: _ClassVar[int]
    KMS_URI_FIELD_NUMBER: _ClassVar[int]
    RPC_PROTECTION_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_PROTECTION_FIELD_NUMBER: _ClassVar[int]
    namenodes: _containers.RepeatedScalarFieldContainer[str]
    root: str
    user: str
    nameservice: str
    conf_dir: str
    principal: str
    keytab: str
    krb5_conf: str
    kms_uri: str
    rpc_protection: HdfsLocation.Protection
    transfer_protection: HdfsLocation.Protection
    def __init__(self, namenodes: _Optional[_Iterable[str]] = ..., root: _Optional[str] = ..., user: _Optional[str] = ..., nameservice: _Optional[str] = ..., conf_dir: _Optional[str] = ..., principal: _Optional[str] = ..., keytab: _Optional[str] = ..., krb5_conf: _Optional[str] = ..., kms_uri: _Optional[str] = ..., rpc_protection: _Optional[_Union[HdfsLocation.Protection, str]] = ..., transfer_protection: _Optional[_Union[HdfsLocation.Protection, str]] = ...) -> None: ...

class S3Location(_message.Message):
    __slots__ = ("bucket", "prefix", "endpoint", "region", "addressing_style", "credentials", "ca_bundle", "storage_class")
    class AddressingStyle(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ADDRESSING_STYLE_UNSPECIFIED: _ClassVar[S3Location.AddressingStyle]
        ADDRESSING_STYLE_PATH: _ClassVar[S3Location.AddressingStyle]
        ADDRESSING_STYLE_VIRTUAL: _ClassVar[S3Location.AddressingStyle]
    ADDRESSING_STYLE_UNSPECIFIED: S3Location.AddressingStyle
    ADDRESSING_STYLE_PATH: S3Location.AddressingStyle
    ADDRESSING_STYLE_VIRTUAL: S3Location.AddressingStyle
    BUCKET_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    ADDRESSING_STYLE_FIELD_NUMBER: _ClassVar[int]
    CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    CA_BUNDLE_FIELD_NUMBER: _ClassVar[int]
    STORAGE_CLASS_FIELD_NUMBER: _ClassVar[int]
    bucket: str
    prefix: str
    endpoint: str
    region: str
    addressing_style: S3Location.AddressingStyle
    credentials: CredentialsReference
    ca_bundle: str
    storage_class: str
    def __init__(self, bucket: _Optional[str] = ..., prefix: _Optional[str] = ..., endpoint: _Optional[str] = ..., region: _Optional[str] = ..., addressing_style: _Optional[_Union[S3Location.AddressingStyle, str]] = ..., credentials: _Optional[_Union[CredentialsReference, _Mapping]] = ..., ca_bundle: _Optional[str] = ..., storage_class: _Optional[str] = ...) -> None: ...

class CredentialsReference(_message.Message):
    __slots__ = ("profile", "environment", "file")
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    profile: str
    environment: str
    file: str
    def __init__(self, profile: _Optional[str] = ..., environment: _Optional[str] = ..., file: _Optional[str] = ...) -> None: ...

class CreateLocationRequest(_message.Message):
    __slots__ = ("location", "location_id", "request_id", "validate_only")
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    LOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    location: Location
    location_id: str
    request_id: str
    validate_only: bool
    def __init__(self, location: _Optional[_Union[Location, _Mapping]] = ..., location_id: _Optional[str] = ..., request_id: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class GetLocationRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListLocationsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListLocationsResponse(_message.Message):
    __slots__ = ("locations", "next_page_token")
    LOCATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    locations: _containers.RepeatedCompositeFieldContainer[Location]
    next_page_token: str
    def __init__(self, locations: _Optional[_Iterable[_Union[Location, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class TestLocationRequest(_message.Message):
    __slots__ = ("name", "write")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WRITE_FIELD_NUMBER: _ClassVar[int]
    name: str
    write: bool
    def __init__(self, name: _Optional[str] = ..., write: bool = ...) -> None: ...

class TestLocationResponse(_message.Message):
    __slots__ = ("checks",)
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    checks: _containers.RepeatedCompositeFieldContainer[LocationCheck]
    def __init__(self, checks: _Optional[_Iterable[_Union[LocationCheck, _Mapping]]] = ...) -> None: ...

class LocationCheck(_message.Message):
    __slots__ = ("step", "result", "reason", "message")
    class Result(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        RESULT_UNSPECIFIED: _ClassVar[LocationCheck.Result]
        RESULT_PASSED: _ClassVar[LocationCheck.Result]
        RESULT_FAILED: _ClassVar[LocationCheck.Result]
    RESULT_UNSPECIFIED: LocationCheck.Result
    RESULT_PASSED: LocationCheck.Result
    RESULT_FAILED: LocationCheck.Result
    STEP_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    step: str
    result: LocationCheck.Result
    reason: str
    message: str
    def __init__(self, step: _Optional[str] = ..., result: _Optional[_Union[LocationCheck.Result, str]] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...
