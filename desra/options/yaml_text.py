"""Read YAML text as plain data: nothing is evaluated, no key twice, nothing that grows."""

import re
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from desra.utils.errors import InputError

_MERGE = "tag:yaml.org,2002:merge"
#: Nodes that a file may have, each alias counted as what it stands for.
_MAX_NODES = 100_000
_MAX_DEPTH = 50


class _PlainLoader(yaml.SafeLoader):
    """A safe YAML loader without dates, whose ``<<: *base`` gives what the YAML merge key says."""

    def flatten_mapping(self, node: MappingNode) -> None:
        """Write out ``<<``: own keys come first, then those of the earlier mapping.

        PyYAML 6.0.4 lets ``{<<: *b}`` have what ``b`` itself has replaced.
        """
        bases: list[MappingNode] = []
        own: list[tuple[Any, Any]] = []
        for key_node, value_node in node.value:
            if key_node.tag != _MERGE:
                own.append((key_node, value_node))
                continue
            sources = value_node.value if isinstance(value_node, SequenceNode) else [value_node]
            for source in sources:
                if not isinstance(source, MappingNode):
                    place = key_node.start_mark
                    raise yaml.MarkedYAMLError(None, None, "<< must name a mapping", place)
                self.flatten_mapping(source)
                bases.append(source)
        names = {(key_node.tag, key_node.value) for key_node, _ in own}
        merged: list[tuple[Any, Any]] = []
        for base in bases:
            for key_node, value_node in base.value:
                if (name := (key_node.tag, key_node.value)) not in names:
                    names.add(name)
                    merged.append((key_node, value_node))
        node.value = merged + own


# Dates stay text: no option is one, and a folder may be named like one.
_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
# In YAML 1.1, 1e-4 is text, since it has no dot; learning rates are often written like this.
_EXPONENT = re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$")
_PlainLoader.add_implicit_resolver(  # pyright: ignore[reportUnknownMemberType]
    "tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789")
)


def read(text: str) -> Any:
    """Return YAML text as dictionaries, lists, texts, numbers, true, false and null.

    Raises:
        InputError: it is not valid YAML, gives a key twice, is nested deeper than 50 sections, or
            has more than 100,000 values, where each alias counts as what it stands for.
    """
    try:
        loader = _PlainLoader(text)
        try:
            node: Any = loader.get_single_node()
            if node is None:
                return None
            _Shape(loader).size(node, 0)
            return loader.construct_document(node)  # pyright: ignore
        finally:
            loader.dispose()  # pyright: ignore
    except InputError:
        raise
    except RecursionError as error:
        raise InputError(f"is nested deeper than {_MAX_DEPTH} sections") from error
    except Exception as error:  # of a tag such as !!int with a text, besides YAMLError
        reason = " ".join(str(error).split())
        raise InputError(f"is not valid YAML: {reason[:500]}") from error


class _Shape:
    """The checks of the nodes of a file, before anything is made of them."""

    def __init__(self, loader: yaml.SafeLoader) -> None:
        self._loader = loader
        self._sizes: dict[int, int] = {}
        self._above: set[int] = set()

    def size(self, node: Node, depth: int) -> int:
        """Return how many values a node holds, aliases written out."""
        if isinstance(node, ScalarNode):
            return 1
        if id(node) in self._above:
            raise InputError(f"is not valid YAML: an alias holds itself{_place(node)}")
        if depth > _MAX_DEPTH:
            raise InputError(f"is nested deeper than {_MAX_DEPTH} sections{_place(node)}")
        if id(node) not in self._sizes:
            self._above.add(id(node))
            size = 1 + sum(self.size(inner, depth + 1) for inner in self._inner(node))
            self._above.remove(id(node))
            if size > _MAX_NODES:
                raise InputError(f"holds more than {_MAX_NODES} values, aliases written out")
            self._sizes[id(node)] = size
        return self._sizes[id(node)]

    def _inner(self, node: Node) -> list[Node]:
        if isinstance(node, SequenceNode):
            return list(node.value)
        assert isinstance(node, MappingNode)
        self._refuse_duplicates(node)
        return [part for pair in node.value for part in pair]

    def _refuse_duplicates(self, node: MappingNode) -> None:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, ScalarNode):
                raise InputError(f"is not valid YAML: a key must be a text{_place(key_node)}")
            if key_node.tag == _MERGE:
                continue
            key = self._loader.construct_object(key_node, deep=True)  # pyright: ignore
            if key in seen:
                raise InputError(
                    f"is not valid YAML: the key '{key}' is given twice{_place(key_node)}"
                )
            seen.add(key)


def _place(node: Node) -> str:
    return f", in line {node.start_mark.line + 1}" if node.start_mark else ""
