"""The server of the protocol: what assistants ask, answered by the tools and resources."""

from typing import Any

from mcp import types
from mcp.server import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from orchestrator.assistants import resources
from orchestrator.assistants.tools import QUOTED, TOOLS, Toolbox, reason
from orchestrator.session import Session
from reelscribe.errors import ServiceError
from reelscribe.http.access.admission import ANYONE, Caller
from reelscribe.version import version

CALLER = "reelscribe.caller"
"""Of the ASGI scope of a request: who makes it."""
INSTRUCTIONS = (
    "An archive of recordings and of what was said in them. Search for words, read on around a hit, and name the "
    f"recording and the time of what you quote; the links play that moment. {QUOTED}"
)

Context = ServerRequestContext[Any, Any]


def make_server(session: Session) -> Server[Any]:
    """The server of an open archive."""
    toolbox = Toolbox(session)

    async def list_tools(context: Context, wanted: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        """Those that the caller may use."""
        caller = _caller(context)
        return types.ListToolsResult(tools=[tool.declared() for tool in TOOLS.values() if caller.may(tool.scope)])

    async def call_tool(context: Context, wanted: types.CallToolRequestParams) -> types.CallToolResult:
        tool = TOOLS.get(wanted.name)
        if tool is None:
            raise MCPError(
                types.INVALID_PARAMS, f"there is no tool {wanted.name[:100]!r}; there are {', '.join(TOOLS)}"
            )
        return await toolbox.call(tool, wanted.arguments or {}, _caller(context))

    async def list_resources(
        context: Context, wanted: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        try:
            return await resources.resources(session, wanted.cursor if wanted else None)
        except Exception as failure:
            raise _refusal(failure) from None

    async def list_templates(
        context: Context, wanted: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=[resources.TEMPLATE])

    async def read_resource(context: Context, wanted: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        try:
            return await resources.read(session, wanted.uri)
        except Exception as failure:
            raise _refusal(failure) from None

    return Server(
        "reelscribe",
        title="Reelscribe",
        version=version(),
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
    )


def _caller(context: Context) -> Caller:
    """Who asks: over HTTP, whose token it is; on standard input, whoever has started this command."""
    if context.request is None:
        return ANYONE
    caller: Caller = context.request.scope[CALLER]
    return caller


def _refusal(failure: Exception) -> MCPError:
    code = types.INTERNAL_ERROR
    if isinstance(failure, ValidationError) or (isinstance(failure, ServiceError) and failure.status < 500):
        code = types.INVALID_PARAMS
    return MCPError(code, reason(failure))
