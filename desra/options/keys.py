"""A section of somebody else's options, used up key by key."""

from collections.abc import Iterable
from typing import Any, cast

from desra.utils.errors import InputError, did_you_mean

Content = dict[str, Any]


class Keys:
    """Each key is taken, or noted as meaning nothing; what is left at the end is unknown.

    Args:
        content: the section as read from YAML; None: an empty one.
        path: of the section, for messages.

    Raises:
        InputError: it is a value, not a section.
    """

    def __init__(self, content: Any, path: str = "") -> None:
        if content is not None and not isinstance(content, dict):
            raise InputError(f"{path}: must be a section of keys (given: {content!r})")
        self._left: Content = dict(cast(Content, content or {}))
        self._known: set[str] = set()
        self._path = path
        self._ignored: list[str] = []
        self._sections: list[Keys] = []

    def path(self, key: str) -> str:
        """The whole path of a key."""
        return f"{self._path}.{key}" if self._path else key

    def section(self, key: str) -> "Keys":
        """A section of this one, whose ignored and unknown keys are told with this one's."""
        section = Keys(self.take(key), self.path(key))
        self._sections.append(section)
        return section

    def has(self, key: str) -> bool:
        """Whether a key is given and not null; it stays."""
        return self.peek(key) is not None

    def peek(self, key: str) -> Any:
        """The value of a key, which stays."""
        self._known.add(key)
        return self._left.get(key)

    def take(self, key: str, default: Any = None) -> Any:
        """The value of a key; ``default`` where it is not given."""
        self._known.add(key)
        return self._left.pop(key, default)

    def take_given(self, keys: Iterable[str]) -> Content:
        """Those of the keys that are given, with their values."""
        wanted = set(keys)
        self._known |= wanted
        return {key: self._left.pop(key) for key in list(self._left) if key in wanted}

    def take_rest(self) -> Content:
        """All that is left."""
        return self.take_given(list(self._left))

    def starting(self, prefix: str) -> list[str]:
        """Those of the keys left that start so."""
        return [key for key in self._left if key.startswith(prefix)]

    def note(self, key: str) -> None:
        """Remember a key as meaning nothing."""
        self._ignored.append(self.path(key))

    def ignore(self, keys: Iterable[str]) -> None:
        """Take those of the keys that are given, and note them."""
        for key in self.take_given(keys):
            self.note(key)

    def expect(self, key: str, *values: Any) -> None:
        """Take a key; note it unless its value says what happens anyway."""
        given = self.take_given([key])
        if given and given[key] not in values:
            self.note(key)

    def ignored(self) -> list[str]:
        """The paths of all keys that were noted."""
        return self._ignored + [path for section in self._sections for path in section.ignored()]

    def unknown(self) -> list[str]:
        """A sentence for each key that is left."""
        sentences: list[str] = []
        for key in map(str, self._left):
            hint = did_you_mean(key, sorted(self._known), "neither basicsr nor desra has it")
            sentences.append(f"{self.path(key)}: unknown key; {hint}")
        return sentences + [line for section in self._sections for line in section.unknown()]
