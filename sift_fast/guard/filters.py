"""Documents of retrieval libraries, and the condition under which they may be read, as vector stores write it."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

from sift_fast.errors import ConfigError
from sift_fast.guard.verdict import Document

__all__ = ["as_document", "as_filter"]

Condition = Sequence[tuple[str, Sequence[str]]]


def as_document(given: Any) -> Document:
    """A document from what retrieval libraries return.

    Args:
        given: a `Document`, a mapping with `text`, `metadata` and `id`, a LangChain document (`page_content`), or a
            LlamaIndex node, with a score or without (`node`, `get_content`).

    Raises:
        TypeError: it is nothing of the kind.
    """
    if isinstance(given, Document):
        return given
    if isinstance(given, Mapping):
        text, metadata, name = given.get("text"), given.get("metadata"), given.get("id")
    elif hasattr(given, "page_content"):
        text, metadata, name = given.page_content, given.metadata, getattr(given, "id", None)
    else:
        node = getattr(given, "node", given)
        if not hasattr(node, "get_content"):
            raise TypeError("a retrieved document must be a Document, a mapping or a document of a known library")
        text, metadata, name = node.get_content(), node.metadata, getattr(node, "node_id", None)
    if not isinstance(text, str) or not isinstance(metadata, Mapping | None):
        raise TypeError("a retrieved document must have text and metadata")
    return Document(text, metadata, str(name) if name is not None else "")


def as_filter(condition: Condition, store: str, *, arrays: Container[str] = ()) -> Any:
    """The condition of `Guard.retrieval_condition` in the words of a vector store.

    The guard checks every document that comes back all the same: the query keeps others from using up its places.

    Args:
        condition: keys, and for each the values of which a document must have one.
        store: `chroma`, `pinecone`, `qdrant`, `weaviate`, `milvus`, `elasticsearch`, `opensearch` or `pgvector`.
        arrays: keys whose metadata are arrays of strings, as roles often are. `chroma` and `milvus` ask for them in
            other words than for a string; the others find both.

    Returns:
        A mapping, a string for `milvus`, and for `pgvector` a clause with `%s` and its parameters, for a column
        `metadata` of type `json` or `jsonb`. Key names come from the configuration, values never enter a string
        unescaped.

    Raises:
        ConfigError: the store is not known.

    Example:
        >>> as_filter([("tenant", ("acme",))], "pinecone")
        {'tenant': {'$in': ['acme']}}
        >>> as_filter([("tenant", ("acme",)), ("roles", ("desk",))], "milvus", arrays={"roles"})
        'tenant in ["acme"] and json_contains_any(roles, ["desk"])'
    """
    if store == "pinecone":
        return {key: {"$in": list(values)} for key, values in condition}
    if store == "chroma":
        parts = [_of_chroma(key, values, key in arrays) for key, values in condition]
        return parts[0] if len(parts) == 1 else {"$and": parts}
    if store == "qdrant":
        return {"must": [{"key": key, "match": {"any": list(values)}} for key, values in condition]}
    if store == "weaviate":
        operands = [{"path": [key], "operator": "ContainsAny", "valueText": list(values)} for key, values in condition]
        return {"operator": "And", "operands": operands}
    if store in {"elasticsearch", "opensearch"}:
        return {"bool": {"filter": [{"terms": {key: list(values)}} for key, values in condition]}}
    if store == "milvus":
        import json

        said = ((_name(key), json.dumps(list(values)), key in arrays) for key, values in condition)
        return " and ".join(
            f"json_contains_any({key}, {wanted})" if is_array else f"{key} in {wanted}"
            for key, wanted, is_array in said
        )
    if store == "pgvector":
        # A string is looked for in a string and in an array alike.
        clause = " AND ".join(f"(metadata->'{_name(key)}')::jsonb ?| %s" for key, _ in condition)
        return clause, [list(values) for _, values in condition]
    raise ConfigError(f"there is no filter for the vector store `{store[:40]}`")


def _of_chroma(key: str, values: Sequence[str], is_array: bool) -> dict[str, Any]:
    if not is_array:
        return {key: {"$in": list(values)}}
    parts: list[dict[str, Any]] = [{key: {"$contains": value}} for value in values]
    return parts[0] if len(parts) == 1 else {"$or": parts}


def _name(key: str) -> str:
    if not key.isidentifier():
        raise ConfigError("a metadata key in a filter string must be a plain name")
    return key
