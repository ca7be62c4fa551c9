"""World `python`: the function of interface `search`; its resource is in search.py."""

from wit_world import exports

from search import STOP_WORDS


class Search(exports.Search):
    def stop_words(self):
        return STOP_WORDS
