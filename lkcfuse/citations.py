"""Works to cite, as BibTeX; made of the citations that metrics and weights come with."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

_STOP = {"a", "an", "in", "the", "on", "of"}


@dataclass(frozen=True)
class Work:
    """One BibTeX entry.

    Attributes:
        key: What it is cited by.
        kind: `article`, `inproceedings` or `misc`.
        fields: Value by field.
    """

    key: str
    kind: str
    fields: Mapping[str, str]

    def to_bibtex(self, note: str = "") -> str:
        """Return the entry.

        Args:
            note: What it is cited for: a comment before it.
        """
        lines = [f"% {note}"] if note else []
        lines.append(f"@{self.kind}{{{self.key},")
        lines += [f"  {name} = {{{_escaped(value)}}}," for name, value in self.fields.items()]
        return "\n".join([*lines, "}"])


def parse_source(text: str) -> Work:
    """Read the source that a metric's docstring names.

    Example:
        >>> work = parse_source("Chen, Blum: A new idea. Image Vis. Comput. 27, 2009; as in X.")
        >>> work.key, work.fields["author"], work.fields["journal"], work.fields["volume"]
        ('chen2009new', 'Chen and Blum', 'Image Vis. Comput.', '27')
    """
    # What follows says how it is used here.
    text = re.split(r"; |, after |, as the ", text)[0].rstrip(".")
    parts = re.fullmatch(r"([^:]+): (.+?)\. (.+?)(?: (\d+))?,? (\d{4})", text)
    if parts is None:
        return _free(text)
    authors, title, place, volume, year = parts.groups()
    author = " and ".join(authors.split(", "))
    where = {"journal": place, "volume": volume} if volume else {"booktitle": place.rstrip(",")}
    kind = "article" if volume else "inproceedings"
    fields = {"author": author, "title": f"{{{title}}}", **where, "year": year}
    return Work(_key(author, year, title), kind, fields)


def parse_citation(text: str) -> Work:
    """Read the citation that a manifest has of weights.

    Example:
        >>> work = parse_citation('A. Lee and B. Ray, "On fusion", Some Journal 7 (2020) 1-9')
        >>> work.key, work.fields["author"], work.fields["pages"]
        ('lee2020fusion', 'A. Lee and B. Ray', '1-9')
    """
    parts = re.fullmatch(r'(.+?), "(.+)", (.+?) (\d+) \((\d{4})\) ([\d-]+)(?:, arXiv:(\S+))?', text)
    if parts is None:
        return _free(text)
    authors, title, journal, volume, year, pages, eprint = parts.groups()
    author = authors.replace(" et al.", " and others").replace(", ", " and ")
    fields = {
        "author": author,
        "title": f"{{{title}}}",
        "journal": journal,
        "volume": volume,
        "year": year,
        "pages": pages,
    }
    if eprint:
        fields |= {"eprint": eprint, "archiveprefix": "arXiv"}
    return Work(_key(author, year, title), "article", fields)


def _free(text: str) -> Work:
    """Return a citation of another form as it is."""
    year = re.search(r"(?:19|20)\d{2}", text)
    word = re.search(r"[^\W\d_]{2,}", text)
    key = _key(word[0] if word else "work", year[0] if year else "", "")
    return Work(key, "misc", {"note": text})


def _key(author: str, year: str, title: str) -> str:
    surname = author.split(" and ")[0].split(" ")[-1]
    word = next((w for w in re.findall(r"\w+", title.lower()) if w not in _STOP), "")
    plain = unicodedata.normalize("NFKD", f"{surname}{year}{word}").encode("ascii", "ignore")
    return re.sub(r"[^a-z0-9]", "", plain.decode().lower()) or "work"


def _escaped(value: str) -> str:
    return re.sub(r"([&%$#_])", r"\\\1", value)
