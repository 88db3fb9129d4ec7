"""The client for asyncio: the twin of `blockferry.client`, call by call."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import grpc

from blockferry.calls import (
    CHANNEL_OPTIONS,
    DEADLINE_S,
    DEFAULT_ADDRESS,
    PAGE_SIZE,
    TEST_DEADLINE_S,
    Headers,
    no_headers,
)
from blockferry.errors import BlockferryError
from blockferry.names import execution_name, location_name, task_name
from blockferry.states import is_final
from blockferry.status import from_rpc_error
from blockferry.v1 import execution_pb2, location_pb2, task_pb2
from blockferry.v1.execution_pb2_grpc import ExecutionServiceStub
from blockferry.v1.location_pb2_grpc import LocationServiceStub
from blockferry.v1.task_pb2_grpc import TaskServiceStub

Request = TypeVar("Request")
Response = TypeVar("Response")


class AsyncClient:
    """Talks to a scheduler. Use as an asynchronous context manager, or call `close`.

    Args:
        address: `HOST:PORT` of the scheduler.
        headers: metadata of each call, e.g. the `traceparent` of the caller's span.
    """

    def __init__(self, address: str = DEFAULT_ADDRESS, headers: Headers = no_headers) -> None:
        self._channel = grpc.aio.insecure_channel(address, CHANNEL_OPTIONS)
        self._headers = headers
        self._locations = LocationServiceStub(self._channel)
        self._tasks = TaskServiceStub(self._channel)
        self._executions = ExecutionServiceStub(self._channel)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()

    async def create_location(self, location: location_pb2.Location, location_id: str = "") -> location_pb2.Location:
        """Creates a location. Raises ALREADY_EXISTS, INVALID_ARGUMENT."""
        request = location_pb2.CreateLocationRequest(
            location=location, location_id=location_id, request_id=str(uuid.uuid4())
        )
        return await self._call(self._locations.CreateLocation, request)

    async def get_location(self, location_id: str) -> location_pb2.Location:
        """Returns one location, by name or id."""
        return await self._call(
            self._locations.GetLocation, location_pb2.GetLocationRequest(name=location_name(location_id))
        )

    async def list_locations(self) -> AsyncIterator[location_pb2.Location]:
        """Yields all locations by name, page by page."""
        request = location_pb2.ListLocationsRequest(page_size=PAGE_SIZE)
        while True:
            page = await self._call(self._locations.ListLocations, request)
            for item in page.locations:
                yield item
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def test_location(self, location_id: str, write: bool = False) -> tuple[location_pb2.LocationCheck, ...]:
        """Tries a location step by step, from where the data will be moved."""
        request = location_pb2.TestLocationRequest(name=location_name(location_id), write=write)
        return tuple((await self._call(self._locations.TestLocation, request, TEST_DEADLINE_S)).checks)

    async def create_task(self, task: task_pb2.Task, task_id: str = "") -> task_pb2.Task:
        """Creates a task. Raises ALREADY_EXISTS, INVALID_ARGUMENT, LOCATION_NOT_FOUND."""
        request = task_pb2.CreateTaskRequest(task=task, task_id=task_id, request_id=str(uuid.uuid4()))
        return await self._call(self._tasks.CreateTask, request)

    async def get_task(self, task_id: str) -> task_pb2.Task:
        """Returns one task, by name or id."""
        return await self._call(self._tasks.GetTask, task_pb2.GetTaskRequest(name=task_name(task_id)))

    async def list_tasks(self) -> AsyncIterator[task_pb2.Task]:
        """Yields all tasks by name, page by page."""
        request = task_pb2.ListTasksRequest(page_size=PAGE_SIZE)
        while True:
            page = await self._call(self._tasks.ListTasks, request)
            for item in page.tasks:
                yield item
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def run_task(
        self,
        task_id: str,
        *,
        dry_run: bool = False,
        options: task_pb2.Options | None = None,
        validate_only: bool = False,
    ) -> execution_pb2.Execution:
        """Starts a run of a task; options that are set take the place of the task's. Raises QUEUE_FULL."""
        request = execution_pb2.RunTaskRequest(
            name=task_name(task_id),
            request_id=str(uuid.uuid4()),
            dry_run=dry_run,
            options=options,
            validate_only=validate_only,
        )
        return await self._call(self._executions.RunTask, request)

    async def get_execution(self, name: str) -> execution_pb2.Execution:
        """Returns one execution, by name or `{task}/{execution}`."""
        return await self._call(
            self._executions.GetExecution, execution_pb2.GetExecutionRequest(name=execution_name(name))
        )

    async def list_executions(self, task_id: str = "-") -> AsyncIterator[execution_pb2.Execution]:
        """Yields the executions of a task (`-`: of all tasks), newest first, page by page."""
        request = execution_pb2.ListExecutionsRequest(parent=task_name(task_id), page_size=PAGE_SIZE)
        while True:
            page = await self._call(self._executions.ListExecutions, request)
            for item in page.executions:
                yield item
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def cancel_execution(self, name: str) -> execution_pb2.Execution:
        """Stops an execution. Twice, or after its end, is no error."""
        return await self._call(
            self._executions.CancelExecution, execution_pb2.CancelExecutionRequest(name=execution_name(name))
        )

    async def watch_execution(self, name: str, patience_s: float = 120.0) -> AsyncIterator[execution_pb2.Execution]:
        """Yields an execution as it is and then each time it changes, until it has ended.

        A broken stream is opened again from the last revision; only a scheduler that does not answer for `patience_s`
        seconds ends it.

        Raises:
            BlockferryError: EXECUTION_NOT_FOUND, SERVICE_UNAVAILABLE.
        """
        request = execution_pb2.WatchExecutionRequest(name=execution_name(name))
        last_sign = time.monotonic()
        while True:
            try:
                async for message in self._executions.WatchExecution(request, metadata=tuple(self._headers())):
                    last_sign = time.monotonic()
                    request.after_revision = message.execution.revision
                    yield message.execution
                    if is_final(message.execution):
                        return
            except grpc.RpcError as error:
                failure = from_rpc_error(error)
                if not failure.retryable or time.monotonic() - last_sign > patience_s:
                    raise failure from error
            await asyncio.sleep(0.2)

    async def wait_until_ready(self, timeout_s: float) -> None:
        """Waits until the scheduler can be reached. Raises SERVICE_UNAVAILABLE."""
        try:
            await asyncio.wait_for(self._channel.channel_ready(), timeout_s)
        except TimeoutError as error:
            text = "No scheduler answers at this address: start one with `blockferry up`, or give another --address."
            raise BlockferryError("SERVICE_UNAVAILABLE", text, retryable=True) from error

    async def _call(
        self,
        method: Callable[..., Awaitable[Response]],
        request: Request,
        deadline_s: float = DEADLINE_S,
    ) -> Response:
        try:
            return await method(request, timeout=deadline_s, metadata=tuple(self._headers()))
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error
