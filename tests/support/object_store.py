"""An S3-compatible server on loopback, which may be away for a while."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

import boto3
import pytest
from moto.server import ThreadedMotoServer

_HOST, _REGION = "127.0.0.1", "us-east-1"


class ObjectStore:
    """Runs while its ``with`` block does; the environment leads clients to it meanwhile."""

    bucket = "artifacts"

    def __init__(self) -> None:
        self._port = 0
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> Self:
        self.start()
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://{_HOST}:{self._port}",
            "AWS_ACCESS_KEY_ID": "someone",
            "AWS_SECRET_ACCESS_KEY": "something",
            "AWS_DEFAULT_REGION": _REGION,
            # Soon told where it is away.
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        for name, value in self.environment.items():
            self._patch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket=self.bucket)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        self._patch.undo()

    def url(self, folder: str) -> str:
        """A place in its bucket."""
        return f"s3://{self.bucket}/{folder}"

    def start(self) -> None:
        """Answers, with what it held before, at the address of the first start."""
        self._server = ThreadedMotoServer(ip_address=_HOST, port=self._port, verbose=False)
        self._server.start()
        _, self._port = self._server.get_host_and_port()

    def stop(self) -> None:
        """Refuses connections; what it holds stays."""
        self._server.stop()
