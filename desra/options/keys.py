"""Keys: a section of basicsr's or traiNNer's options, whose keys are taken one by one."""

from collections.abc import Iterable
from typing import Any, cast

from desra.utils.errors import InputError, did_you_mean

Content = dict[str, Any]


class Keys:
    """A section to translate: each key is taken or ignored; the keys left at the end are unknown.

    Args:
        content: the section as read from YAML; None: an empty one.
        path: key path of the section, for messages.

    Raises:
        InputError: ``content`` is a value, not a section.
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
        """Return the key path of a key."""
        return f"{self._path}.{key}" if self._path else key

    def section(self, key: str) -> "Keys":
        """Take a sub-section; its ignored and unknown keys are counted with this one's."""
        section = Keys(self.take(key), self.path(key))
        self._sections.append(section)
        return section

    def has(self, key: str) -> bool:
        """Return whether a key is there and not null, without taking it."""
        return self.peek(key) is not None

    def peek(self, key: str) -> Any:
        """Return the value of a key, without taking it."""
        self._known.add(key)
        return self._left.get(key)

    def take(self, key: str, default: Any = None) -> Any:
        """Take a key and return its value; ``default`` if it is missing."""
        self._known.add(key)
        return self._left.pop(key, default)

    def take_given(self, keys: Iterable[str]) -> Content:
        """Take those of the keys that are there, and return them with their values."""
        names = set(keys)
        self._known |= names
        return {key: self._left.pop(key) for key in list(self._left) if key in names}

    def take_rest(self) -> Content:
        """Take all keys that are left."""
        return self.take_given(list(self._left))

    def starting(self, prefix: str) -> list[str]:
        """Return those of the keys left that start with ``prefix``."""
        return [key for key in self._left if key.startswith(prefix)]

    def note(self, key: str) -> None:
        """Count a key as ignored."""
        self._ignored.append(self.path(key))

    def ignore(self, keys: Iterable[str]) -> None:
        """Take those of the keys that are there, and count them as ignored."""
        for key in self.take_given(keys):
            self.note(key)

    def expect(self, key: str, *values: Any) -> None:
        """Take a key; count it as ignored unless its value is one of ``values``."""
        taken = self.take_given([key])
        if taken and taken[key] not in values:
            self.note(key)

    def ignored(self) -> list[str]:
        """Return the key paths of all ignored keys."""
        return self._ignored + [path for section in self._sections for path in section.ignored()]

    def unknown(self) -> list[str]:
        """Return a sentence for each key that is left."""
        sentences: list[str] = []
        for key in map(str, self._left):
            hint = did_you_mean(key, sorted(self._known), "neither basicsr nor desra has it")
            sentences.append(f"{self.path(key)}: unknown key; {hint}")
        return sentences + [line for section in self._sections for line in section.unknown()]
