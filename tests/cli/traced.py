"""Runs commands of `synthorg-db` in a process that has a provider, and prints their spans."""

import json
import sys

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from typer.testing import CliRunner

from synthorg.persistence.cli.app import app


def main() -> None:
    """Run what the arguments say, each of which is a command with its own."""
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(provider)
    for command in sys.argv[1:]:
        spans.clear()
        result = CliRunner().invoke(app, command.split())
        outside = [span for span in spans.get_finished_spans() if span.parent is None]
        told = [(span.name, span.attributes or {}) for span in outside]
        found = {name: names.get("error.type") for name, names in told}
        sys.stdout.write(json.dumps([result.exit_code, found]) + "\n")


if __name__ == "__main__":
    main()
