"""How a service is run: a gRPC server with health, reflection, a guard for errors, spans, and drain on SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NoReturn, TypeVar, cast

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from opentelemetry import trace

from blockferry.errors import BlockferryError
from blockferry.status import to_status
from service import telemetry

LOG = logging.getLogger("blockferry.service")
DRAIN_S = 20.0  # how long open calls may go on after SIGTERM
SERVER_OPTIONS = (
    ("grpc.so_reuseport", 0),  # a second server on the same port is an error, not a lottery
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.max_receive_message_length", 64 << 20),
)
# Calls of the machinery itself: no span, no log line.
_QUIET = ("/grpc.health.", "/grpc.reflection.")

Request = TypeVar("Request")
Response = TypeVar("Response")
if TYPE_CHECKING:  # generic only in grpc's type stubs
    Call = grpc.aio.ServicerContext[Request, Response]
    Unary = Callable[[Request, Call[Request, Response]], Awaitable[Response]]
    Stream = Callable[[Request, Call[Request, Response]], AsyncIterator[Response]]
    Handler = grpc.RpcMethodHandler[Request, Response]


class Guard(grpc.aio.ServerInterceptor):
    """Wraps every method: a span under the caller's, and errors as statuses with one ErrorInfo."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler[Request, Response] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler[Request, Response] | None:
        """Returns the method's handler, guarded."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(_QUIET):
            return handler
        # grpc's type stubs give asyncio handlers the types of synchronous ones.
        headers = {key: value for key, value in handler_call_details.invocation_metadata if isinstance(value, str)}
        if handler.response_streaming:
            stream = _guard_stream(cast("Stream[Request, Response]", handler.unary_stream), method, headers)
            return grpc.unary_stream_rpc_method_handler(
                cast(Callable[[Request, grpc.ServicerContext], Iterator[Response]], stream),
                handler.request_deserializer,
                handler.response_serializer,
            )
        unary = _guard_unary(cast("Unary[Request, Response]", handler.unary_unary), method, headers)
        return grpc.unary_unary_rpc_method_handler(
            cast(Callable[[Request, grpc.ServicerContext], Response], unary),
            handler.request_deserializer,
            handler.response_serializer,
        )


def _guard_unary(method: Unary[Request, Response], name: str, headers: dict[str, str]) -> Unary[Request, Response]:
    async def guarded(request: Request, call: Call[Request, Response]) -> Response:
        span = _begun(name, headers)
        try:
            with _below(span):
                try:
                    return await method(request, call)
                except Exception as error:
                    await _refuse(call, name, error)
        finally:
            span.end()

    return guarded


def _guard_stream(method: Stream[Request, Response], name: str, headers: dict[str, str]) -> Stream[Request, Response]:
    async def guarded(request: Request, call: Call[Request, Response]) -> AsyncIterator[Response]:
        span = _begun(name, headers)
        responses = method(request, call)
        try:
            while True:
                # Step by step: a stream that is given up between two of them is closed in another context.
                with _below(span):
                    try:
                        response = await anext(responses)
                    except StopAsyncIteration:
                        return
                    except Exception as error:
                        await _refuse(call, name, error)
                yield response
        finally:
            if isinstance(responses, AsyncGenerator):
                await responses.aclose()
            span.end()

    return guarded


def _begun(method: str, headers: dict[str, str]) -> trace.Span:
    """Returns the span of a call, below the caller's."""
    with telemetry.attached(headers):
        return trace.get_tracer("blockferry.service").start_span(method, kind=trace.SpanKind.SERVER)


def _below(span: trace.Span) -> AbstractContextManager[trace.Span]:
    # An aborted call raises AbortError through the span; its status was set before, and is not a fault of ours.
    return trace.use_span(span, record_exception=False, set_status_on_exception=False)


async def _refuse(call: Call[Request, Response], method: str, error: Exception) -> NoReturn:
    """Ends a call with what its method raised."""
    if not isinstance(error, BlockferryError):
        LOG.error('action="call_failed" method=%s', method, exc_info=error)
        text = f"{method} failed by a fault of ours ({type(error).__name__}: {error}): see the service's log."
        error = BlockferryError("INTERNAL", text, method=method)
    trace.get_current_span().set_status(trace.Status(trace.StatusCode.ERROR, f"{error.reason}: {error.message}"))
    code, message, trailers = to_status(error)
    await call.abort(code, message, trailers)


async def serve(
    service: str,
    listen: str,
    register: Callable[[grpc.aio.Server], Sequence[str]],
    on_drain: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Runs a service until SIGTERM or SIGINT, then lets open calls end for `DRAIN_S` at most.

    Args:
        service: its name, e.g. `mover`.
        listen: `HOST:PORT`, where port 0 takes a free one, or `unix:PATH`. The address is written to the log.
        register: adds the servicers and returns their full names, for health and reflection.
        on_drain: called when the service was asked to end, before open calls are waited for: ends those that would
            not end by themselves.

    Raises:
        BlockferryError: ADDRESS_IN_USE.
    """
    telemetry.setup(service)
    server = grpc.aio.server(interceptors=(Guard(),), options=SERVER_OPTIONS)
    names = (*register(server), health.SERVICE_NAME)
    states = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(states, server)
    reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), server)
    port = _bind(server, listen)
    await server.start()
    for name in ("", *names):
        await states.set(name, health_pb2.HealthCheckResponse.SERVING)
    at = listen if listen.startswith("unix:") else f"{listen.rpartition(':')[0]}:{port}"
    LOG.info("blockferry.%s listening on %s", service, at)
    await _until_asked_to_end()
    LOG.info('action="drain" service=%s', service)
    await states.enter_graceful_shutdown()
    if on_drain is not None:
        await on_drain()
    await server.stop(DRAIN_S)
    telemetry.shutdown()


def _bind(server: grpc.aio.Server, listen: str) -> int:
    try:
        return server.add_insecure_port(listen)
    except RuntimeError as error:
        text = f"Cannot listen on {listen}: the address is in use or not this machine's. Choose another with --listen."
        raise BlockferryError("ADDRESS_IN_USE", text, listen=listen) from error


async def _until_asked_to_end() -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    await asked.wait()
