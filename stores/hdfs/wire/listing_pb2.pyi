from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListedEntryProto(_message.Message):
    __slots__ = ("fileType", "path", "length", "permission", "owner", "group", "modification_time", "access_time", "locations", "fileId", "fileEncryptionInfo", "ecPolicy", "flags")
    FILETYPE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    PERMISSION_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    MODIFICATION_TIME_FIELD_NUMBER: _ClassVar[int]
    ACCESS_TIME_FIELD_NUMBER: _ClassVar[int]
    LOCATIONS_FIELD_NUMBER: _ClassVar[int]
    FILEID_FIELD_NUMBER: _ClassVar[int]
    FILEENCRYPTIONINFO_FIELD_NUMBER: _ClassVar[int]
    ECPOLICY_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    fileType: int
    path: bytes
    length: int
    permission: bytes
    owner: str
    group: str
    modification_time: int
    access_time: int
    locations: bytes
    fileId: int
    fileEncryptionInfo: bytes
    ecPolicy: bytes
    flags: int
    def __init__(self, fileType: _Optional[int] = ..., path: _Optional[bytes] = ..., length: _Optional[int] = ..., permission: _Optional[bytes] = ..., owner: _Optional[str] = ..., group: _Optional[str] = ..., modification_time: _Optional[int] = ..., access_time: _Optional[int] = ..., locations: _Optional[bytes] = ..., fileId: _Optional[int] = ..., fileEncryptionInfo: _Optional[bytes] = ..., ecPolicy: _Optional[bytes] = ..., flags: _Optional[int] = ...) -> None: ...

class ListedFolderProto(_message.Message):
    __slots__ = ("partialListing", "remainingEntries")
    PARTIALLISTING_FIELD_NUMBER: _ClassVar[int]
    REMAININGENTRIES_FIELD_NUMBER: _ClassVar[int]
    partialListing: _containers.RepeatedCompositeFieldContainer[ListedEntryProto]
    remainingEntries: int
    def __init__(self, partialListing: _Optional[_Iterable[_Union[ListedEntryProto, _Mapping]]] = ..., remainingEntries: _Optional[int] = ...) -> None: ...

class ListedAnswerProto(_message.Message):
    __slots__ = ("dirList",)
    DIRLIST_FIELD_NUMBER: _ClassVar[int]
    dirList: ListedFolderProto
    def __init__(self, dirList: _Optional[_Union[ListedFolderProto, _Mapping]] = ...) -> None: ...

class EntryAnswerProto(_message.Message):
    __slots__ = ("fs",)
    FS_FIELD_NUMBER: _ClassVar[int]
    fs: ListedEntryProto
    def __init__(self, fs: _Optional[_Union[ListedEntryProto, _Mapping]] = ...) -> None: ...

class LocationsAnswerProto(_message.Message):
    __slots__ = ("locations",)
    LOCATIONS_FIELD_NUMBER: _ClassVar[int]
    locations: bytes
    def __init__(self, locations: _Optional[bytes] = ...) -> None: ...

class BlockIdentityProto(_message.Message):
    __slots__ = ("b",)
    B_FIELD_NUMBER: _ClassVar[int]
    b: bytes
    def __init__(self, b: _Optional[bytes] = ...) -> None: ...

class LayoutIdentityProto(_message.Message):
    __slots__ = ("blocks", "underConstruction", "lastBlock")
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    UNDERCONSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    LASTBLOCK_FIELD_NUMBER: _ClassVar[int]
    blocks: _containers.RepeatedCompositeFieldContainer[BlockIdentityProto]
    underConstruction: bool
    lastBlock: bytes
    def __init__(self, blocks: _Optional[_Iterable[_Union[BlockIdentityProto, _Mapping]]] = ..., underConstruction: bool = ..., lastBlock: _Optional[bytes] = ...) -> None: ...
