"""A sentence in the two languages that the course is read in."""

from dataclasses import dataclass

LANGUAGES = ("en", "ja")


@dataclass(frozen=True)
class Text:
    """One sentence, in English and in Japanese. `{name}` fields are filled by `format`."""

    en: str
    ja: str

    def pick(self, language: str) -> str:
        """The sentence in `language`; raises ValueError for a language that the course does not have."""
        if language not in LANGUAGES:
            raise ValueError(f"no language {language!r}: choose one of {', '.join(LANGUAGES)}")
        return self.ja if language == "ja" else self.en

    def format(self, **fields: object) -> "Text":
        """Fill the fields of both sentences; a field that is itself a Text is filled in its own language."""
        return Text(**{language: self.pick(language).format(**_in(language, fields)) for language in LANGUAGES})

    @property
    def is_whole(self) -> bool:
        """True when both languages say something."""
        return bool(self.en.strip()) and bool(self.ja.strip())

    def as_data(self) -> dict[str, str]:
        return {"en": self.en, "ja": self.ja}


def same(text: str) -> Text:
    """A Text that reads alike in both languages, such as an identifier."""
    return Text(text, text)


def _in(language: str, fields: dict[str, object]) -> dict[str, object]:
    return {key: value.pick(language) if isinstance(value, Text) else value for key, value in fields.items()}
