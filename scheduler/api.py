"""The public services: locations, tasks and executions. Checks what callers give, then asks the store or the
dispatcher. A method raises `BlockferryError`; the server's guard makes a status of it.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Sequence

import grpc
from google.protobuf.message import Message
from opentelemetry import trace

from blockferry.v1 import (
    execution_pb2,
    execution_pb2_grpc,
    location_pb2,
    location_pb2_grpc,
    task_pb2,
    task_pb2_grpc,
)
from scheduler import checks, pages
from scheduler.catalog import StoredResource, StoredTask
from scheduler.dispatch import Dispatcher, now_ms
from scheduler.machine import Execution, VerifyMode
from scheduler.record import ExecutionRecord
from scheduler.requests import RequestId
from scheduler.store import Desk
from scheduler.views import execution_message, timestamp
from service.telemetry import carrier

Context = grpc.aio.ServicerContext[Message, Message]


def register(server: grpc.aio.Server, desk: Desk, dispatcher: Dispatcher, ledger: str) -> Sequence[str]:
    """Adds the public services to a server and returns their full names. `ledger`: where executions' ledgers lie."""
    location_pb2_grpc.add_LocationServiceServicer_to_server(Locations(desk, dispatcher), server)
    task_pb2_grpc.add_TaskServiceServicer_to_server(Tasks(desk), server)
    execution_pb2_grpc.add_ExecutionServiceServicer_to_server(Executions(desk, dispatcher, ledger), server)
    files = (location_pb2, task_pb2, execution_pb2)
    return tuple(service.full_name for file in files for service in file.DESCRIPTOR.services_by_name.values())


class Locations(location_pb2_grpc.LocationServiceServicer):
    """`blockferry.v1.LocationService`."""

    def __init__(self, desk: Desk, dispatcher: Dispatcher) -> None:
        self._desk = desk
        self._dispatcher = dispatcher

    async def CreateLocation(
        self, request: location_pb2.CreateLocationRequest, context: Context
    ) -> location_pb2.Location:
        """Creates a location."""
        asked = _request_id("CreateLocation", request.request_id, request)
        location = location_pb2.Location()
        location.CopyFrom(request.location)
        checks.check_location(location)
        location.name = f"locations/{_chosen_id('location_id', request.location_id, 'loc')}"
        location.uri = checks.location_uri(location)
        created_ms = now_ms()
        location.create_time.CopyFrom(timestamp(created_ms))
        if request.validate_only:
            await self._desk.ask(lambda store: store.catalog.refuse_double_location(location.name, asked, created_ms))
            return location
        row = StoredResource(location.name, created_ms, location.SerializeToString())
        stored = await self._desk.ask(lambda store: store.catalog.create_location(row, asked))
        return location_pb2.Location.FromString(stored.resource)

    async def GetLocation(self, request: location_pb2.GetLocationRequest, context: Context) -> location_pb2.Location:
        """Gets one location."""
        checks.check_name("name", request.name, checks.LOCATION_NAME)
        stored = await self._desk.ask(lambda store: store.catalog.location(request.name))
        return location_pb2.Location.FromString(stored.resource)

    async def ListLocations(
        self, request: location_pb2.ListLocationsRequest, context: Context
    ) -> location_pb2.ListLocationsResponse:
        """Lists locations by name."""
        size = pages.page_size(request.page_size)
        after = pages.position(request.page_token, "locations", size)
        rows = await self._desk.ask(lambda store: store.catalog.locations(after, size + 1))
        response = location_pb2.ListLocationsResponse()
        response.locations.extend(location_pb2.Location.FromString(row.resource) for row in rows[:size])
        if len(rows) > size:
            response.next_page_token = pages.token(rows[size - 1].name, "locations", size)
        return response

    async def TestLocation(
        self, request: location_pb2.TestLocationRequest, context: Context
    ) -> location_pb2.TestLocationResponse:
        """Tries a location from the scanner."""
        checks.check_name("name", request.name, checks.LOCATION_NAME)
        steps = await self._dispatcher.check_location(request.name, request.write)
        kind = location_pb2.LocationCheck
        return location_pb2.TestLocationResponse(
            checks=[
                kind(
                    step=one.step,
                    result=kind.RESULT_PASSED if one.passed else kind.RESULT_FAILED,
                    reason=one.reason,
                    message=one.message,
                )
                for one in steps
            ]
        )


class Tasks(task_pb2_grpc.TaskServiceServicer):
    """`blockferry.v1.TaskService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def CreateTask(self, request: task_pb2.CreateTaskRequest, context: Context) -> task_pb2.Task:
        """Creates a task."""
        asked = _request_id("CreateTask", request.request_id, request)
        task = task_pb2.Task()
        task.CopyFrom(request.task)
        checks.check_task(task)
        source, destination = await self._location(task.source), await self._location(task.destination)
        checks.check_direction(source, destination)
        task.name = f"tasks/{_chosen_id('task_id', request.task_id, 'task')}"
        task.options.CopyFrom(checks.resolved(task.options))
        created_ms = now_ms()
        task.create_time.CopyFrom(timestamp(created_ms))
        if request.validate_only:
            await self._desk.ask(lambda store: store.catalog.refuse_double_task(task.name, asked, created_ms))
            return task
        row = StoredTask(StoredResource(task.name, created_ms, task.SerializeToString()), task.source, task.destination)
        stored = await self._desk.ask(lambda store: store.catalog.create_task(row, asked))
        return task_pb2.Task.FromString(stored.resource.resource)

    async def _location(self, name: str) -> location_pb2.Location:
        stored = await self._desk.ask(lambda store: store.catalog.location(name))
        return location_pb2.Location.FromString(stored.resource)

    async def GetTask(self, request: task_pb2.GetTaskRequest, context: Context) -> task_pb2.Task:
        """Gets one task."""
        checks.check_name("name", request.name, checks.TASK_NAME)
        stored = await self._desk.ask(lambda store: store.catalog.task(request.name))
        return task_pb2.Task.FromString(stored.resource.resource)

    async def ListTasks(self, request: task_pb2.ListTasksRequest, context: Context) -> task_pb2.ListTasksResponse:
        """Lists tasks by name."""
        size = pages.page_size(request.page_size)
        after = pages.position(request.page_token, "tasks", size)
        rows = await self._desk.ask(lambda store: store.catalog.tasks(after, size + 1))
        response = task_pb2.ListTasksResponse(tasks=[task_pb2.Task.FromString(row.resource) for row in rows[:size]])
        if len(rows) > size:
            response.next_page_token = pages.token(rows[size - 1].name, "tasks", size)
        return response


class Executions(execution_pb2_grpc.ExecutionServiceServicer):
    """`blockferry.v1.ExecutionService`."""

    def __init__(self, desk: Desk, dispatcher: Dispatcher, ledger: str) -> None:
        self._desk = desk
        self._dispatcher = dispatcher
        self._ledger = ledger.rstrip("/")

    async def RunTask(self, request: execution_pb2.RunTaskRequest, context: Context) -> execution_pb2.Execution:
        """Starts a run of a task, or puts it into the task's queue."""
        asked = _request_id("RunTask", request.request_id, request)
        checks.check_name("name", request.name, checks.TASK_NAME)
        checks.check_options("options", request.options)
        stored = await self._desk.ask(lambda store: store.catalog.task(request.name))
        options = checks.resolved(task_pb2.Task.FromString(stored.resource.resource).options, request.options)
        record = self._new_execution(request, options)
        if request.validate_only:
            return execution_message(record)
        trace.get_current_span().set_attribute("execution", record.name)
        return execution_message(await self._dispatcher.submit(record, asked))

    def _new_execution(self, request: execution_pb2.RunTaskRequest, options: task_pb2.Options) -> ExecutionRecord:
        # Readable, and in order of time for people who list the ledger's folders.
        execution_id = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"
        verify = VerifyMode(task_pb2.Options.Verify.Name(options.verify).removeprefix("VERIFY_"))
        name = f"{request.name}/executions/{execution_id}"
        return ExecutionRecord(
            execution=Execution(name, verify, request.dry_run),
            task=request.name,
            create_ms=now_ms(),
            options=options.SerializeToString(),
            traceparent=carrier().get("traceparent", ""),
            ledger_uri=f"{self._ledger}/{request.name.removeprefix('tasks/')}/{execution_id}",
        )

    async def GetExecution(
        self, request: execution_pb2.GetExecutionRequest, context: Context
    ) -> execution_pb2.Execution:
        """Gets one execution."""
        checks.check_name("name", request.name, checks.EXECUTION_NAME)
        return execution_message(await self._dispatcher.execution(request.name))

    async def ListExecutions(
        self, request: execution_pb2.ListExecutionsRequest, context: Context
    ) -> execution_pb2.ListExecutionsResponse:
        """Lists executions of a task, or of all, newest first."""
        size = pages.page_size(request.page_size)
        task = "" if request.parent == "tasks/-" else request.parent
        if task:
            checks.check_name("parent", task, checks.TASK_NAME)
            await self._desk.ask(lambda store: store.catalog.task(task))
        after = pages.position(request.page_token, "executions", request.parent, size)
        before = int(after) if after else None
        rows = await self._desk.ask(lambda store: store.executions(task, before, size + 1))
        response = execution_pb2.ListExecutionsResponse(
            executions=[execution_message(self._dispatcher.as_now(record)) for _, record in rows[:size]]
        )
        if len(rows) > size:
            response.next_page_token = pages.token(str(rows[size - 1][0]), "executions", request.parent, size)
        return response

    async def CancelExecution(
        self, request: execution_pb2.CancelExecutionRequest, context: Context
    ) -> execution_pb2.Execution:
        """Stops an execution."""
        checks.check_name("name", request.name, checks.EXECUTION_NAME)
        return execution_message(await self._dispatcher.cancel(request.name))

    async def WatchExecution(
        self, request: execution_pb2.WatchExecutionRequest, context: Context
    ) -> AsyncIterator[execution_pb2.WatchExecutionResponse]:
        """Streams an execution until it has ended."""
        checks.check_name("name", request.name, checks.EXECUTION_NAME)
        if request.after_revision < 0:
            raise checks.invalid("after_revision", request.after_revision, "it must not be negative.")
        async for record in self._dispatcher.watch(request.name, request.after_revision):
            yield execution_pb2.WatchExecutionResponse(execution=execution_message(record))


def _chosen_id(field: str, asked: str, prefix: str) -> str:
    if asked:
        checks.check_id(field, asked)
    return asked or f"{prefix}-{secrets.token_hex(6)}"


def _request_id(method: str, request_id: str, request: Message) -> RequestId:
    checks.check_request_id(request_id)
    fingerprint = hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest()
    return RequestId(method, request_id, fingerprint)
