"""A client of the bare ASGI application, for what `TestClient` does not do: it collects a body before it sends it."""

from typing import Any, Literal

import anyio

from tests.contracts.conftest import Api

BOUNDARY = "frontier"
MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
Ending = Literal["disconnect", "stall"]


class Sender:
    """Uploads in pieces, only as fast as they are asked for; then goes away, or stalls."""

    def __init__(self, api: Api, pieces: list[bytes], *, end: Ending = "disconnect") -> None:
        self.sent = 0
        self._app: Any = api.client.app
        self._pieces = pieces
        self._end = end
        headers = {**MULTIPART, "Host": "localhost", "Authorization": f"Bearer {api.ours.write_key}"}
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def run(self) -> tuple[int, bytes]:
        """Status and body of the answer."""
        answer: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if self._pieces:
                piece = self._pieces.pop(0)
                self.sent += len(piece)
                return {"type": "http.request", "body": piece, "more_body": True}
            if self._end == "stall":
                await anyio.sleep_forever()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            answer.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v1/datasets", "query_string": b"", "app": self._app}
        scope |= {"headers": self._headers, "http_version": "1.1", "scheme": "http", "server": ("localhost", 80)}
        await self._app(scope, receive, send)
        return answer[0]["status"], b"".join(message.get("body", b"") for message in answer[1:])
