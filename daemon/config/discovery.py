"""Without a configuration: providers from the keys in the environment, and from local servers that answer."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from daemon.config.configuration import Configuration
from daemon.routing.policy import Workload
from probes.origin import origin_of
from probes.policy import Dialect, ProbePolicy, Provider, Secret
from state.errors import ConfigError

__all__ = ["KNOWN", "Known", "discovered"]

_LOCAL_S = 0.2


class Known(NamedTuple):
    """A provider that an environment variable gives away."""

    name: str
    variable: str
    dialect: Dialect
    base_url: str
    models: tuple[str, ...]


KNOWN: Final = (
    Known("openai", "OPENAI_API_KEY", Dialect.OPENAI, "https://api.openai.com/v1", ("gpt-5", "gpt-5-mini")),
    Known("anthropic", "ANTHROPIC_API_KEY", Dialect.ANTHROPIC, "https://api.anthropic.com", ("claude-sonnet-5",)),
    Known("openrouter", "OPENROUTER_API_KEY", Dialect.OPENAI, "https://openrouter.ai/api/v1", ("openrouter/auto",)),
    Known(
        "gemini",
        "GEMINI_API_KEY",
        Dialect.OPENAI,
        "https://generativelanguage.googleapis.com/v1beta/openai",
        ("gemini-2.5-flash", "gemini-2.5-flash-lite"),
    ),
    Known("groq", "GROQ_API_KEY", Dialect.OPENAI, "https://api.groq.com/openai/v1", ("llama-3.1-8b-instant",)),
    Known("mistral", "MISTRAL_API_KEY", Dialect.OPENAI, "https://api.mistral.ai/v1", ("mistral-small-latest",)),
    Known("deepseek", "DEEPSEEK_API_KEY", Dialect.OPENAI, "https://api.deepseek.com/v1", ("deepseek-chat",)),
    Known("xai", "XAI_API_KEY", Dialect.OPENAI, "https://api.x.ai/v1", ("grok-4",)),
)
"""Who is known by a key. The models are a start; a configuration names the ones that you use."""
_LOCAL: Final = (("ollama", 11434), ("llama-cpp", 8080))


def discovered(environ: Mapping[str, str]) -> Configuration:
    """Return a configuration of everything found, behind one default workload. Raises ConfigError with nothing found.

    Looks at environment variables, and asks 127.0.0.1 for the models of an Ollama and a llama.cpp server.
    """
    providers = {provider.name: provider for provider in (*_by_keys(environ), *_local())}
    if not providers:
        variables = ", ".join(known.variable for known in KNOWN)
        looked_for = (
            "fairlead found no configuration and nothing to route to. It looked for a file (see `fairlead serve "
            f"--help`), for keys in the environment ({variables}), and for Ollama (127.0.0.1:11434) and llama.cpp "
            "(127.0.0.1:8080). Try `fairlead serve --demo`, or write a start file with `fairlead config init`."
        )
        raise ConfigError((looked_for,))
    targets = tuple(target for provider in providers.values() for target in provider.targets)
    workload = Workload(name="default", targets=targets, default=True)
    return Configuration(providers=providers, workloads={"default": workload}, source="environment")


def _by_keys(environ: Mapping[str, str]) -> Iterator[Provider]:
    for known in KNOWN:
        key = environ.get(known.variable, "")
        if key:
            base_url = _base_url(known, environ)
            yield Provider(
                name=known.name,
                dialect=known.dialect,
                base_url=base_url.rstrip("/"),
                api_key=Secret(key),
                models=known.models,
                probe=ProbePolicy(),
            )


def _base_url(known: Known, environ: Mapping[str, str]) -> str:
    variable = known.variable.replace("_API_KEY", "_BASE_URL")
    base_url = environ.get(variable, "") or known.base_url
    try:
        origin_of(base_url)
    except ValueError as problem:
        raise ConfigError((f"the environment variable {variable} cannot be used: {problem}",)) from problem
    return base_url


def _local() -> Iterator[Provider]:
    for name, port in _LOCAL:
        if models := _local_models(port):
            base_url = f"http://127.0.0.1:{port}/v1"
            yield Provider(name=name, dialect=Dialect.OPENAI, base_url=base_url, models=models, max_in_flight=4)


def _local_models(port: int) -> tuple[str, ...]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_LOCAL_S)
    try:
        connection.request("GET", "/v1/models")
        listing = json.loads(connection.getresponse().read(1_000_000))
        return tuple(str(model["id"]) for model in listing["data"])
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        return ()
    finally:
        connection.close()
