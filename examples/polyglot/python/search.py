"""The resource of interface `search`: componentize-py looks for it in a module of the interface's name."""

from collections import Counter

from wit_world.exports import search
from wit_world.imports import parser

STOP_WORDS = ["a", "at", "is", "the", "with"]


class Index(search.Index):
    def __init__(self):
        self.docs = []

    def add(self, text, format):
        # A fault that JavaScript returns is raised here, and returned to who called us.
        doc = parser.parse(text, format)
        words = [word for word in doc.words if word not in STOP_WORDS]
        self.docs.append((doc.title or "untitled", Counter(words)))
        return len(words)

    def find(self, query):
        hits = []
        for title, words in self.docs:
            found = [words[word] for word in query.split()]
            if all(found):
                hits.append(search.Hit(title, sum(found) / words.total()))
        return sorted(hits, key=lambda hit: -hit.score)

    @classmethod
    def merge(cls, into, other):
        into.docs.extend(other.docs)
        return into
