"""mutation: which small mistakes somebody could make in a C source, one change each.

Owns: reading C as far as that takes (tokens, functions, statements), and the kinds of change.
Leaves to its user (ci/mutants) which of them to try and how. Comments, strings, preprocessor lines,
types, signatures, the sizes of arrays and what sizeof measures are never changed. A change that does not compile is no
mistake that anybody can make: the compiler is the one who tells.
"""

import collections
import re

TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|/\*.*?\*/|^[ \t]*\#(?:\\\n|[^\n])*)
      | (?P<string>[uUL]?8?"(?:\\.|[^"\\])*")
      | (?P<char>'(?:\\.|[^'\\])+')
      | (?P<number>\.?\d(?:[eEpP][+-]|[\w.])*)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<mark>->|\+\+|--|<<=|>>=|\.\.\.|<<|>>|[<>=!]=|&&|\|\||[-+*/%&|^]=|[^\w\s])""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
KEYWORDS = set(
    "auto break case char const continue default do double else enum extern float for goto if inline "
    "int long register restrict return short signed sizeof static struct switch typedef union "
    "unsigned void volatile while _Bool bool".split()
)
INTEGER = re.compile(r"(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)$")

# What stands for an operator between two operands.
BINARY = {
    "<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"),
    "==": ("!=",), "!=": ("==",), "&&": ("||",), "||": ("&&",),
    "+": ("-",), "-": ("+",), "*": ("+",), "/": ("*",), "%": ("/",),
    "&": ("|",), "|": ("&",), "^": ("|",), "<<": (">>",), ">>": ("<<",),
    "+=": ("-=", "="), "-=": ("+=", "="), "|=": ("&=", "="), "&=": ("|=", "="),
}
UNARY = {"!": ("",), "~": ("",), "-": ("",), "++": ("--",), "--": ("++",)}
TRUTH = {"true": "false", "false": "true"}

Token = collections.namedtuple("Token", "kind text start end")


class Mutant:
    """One change: the bytes from `start` to `end` of a source become `text`."""

    def __init__(self, source, function, what, start, end, text):
        self.path = source.path
        self.function = function
        self.what = what
        self.line = source.text.count("\n", 0, start) + 1
        self.column = start - source.text.rfind("\n", 0, start)
        first = source.text.rfind("\n", 0, start) + 1
        last = source.text.find("\n", end)
        self.before = source.text[first:last]
        self.after = source.text[first:start] + text + source.text[end:last]
        self.mutated = source.text[:start] + text + source.text[end:]
        above = source.text[:first].rstrip().rpartition("\n")[2]
        self.names = {
            name(self.path, function, self.before, self.after, line) for line in ("", above)
        }


def name(path, function, before, after, above):
    """Names a change as long as its lines stay what they are, wherever they move to. `above` is the
    line above them, or nothing where any will do."""
    return path, function, *(" ".join(text.split()) for text in (before, after, above))


def tokens(text):
    found, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match.lastgroup != "skip":
            found.append(Token(match.lastgroup, match.group(), match.start(), match.end()))
        at = match.end()
    return found


def enumerations(texts):
    """{constant: its enumeration's constants} of the named ones; the unnamed ones hold plain
    numbers, and map to nothing. Those that only count the others are left out."""
    groups = {}
    for text in texts:
        read = tokens(text)
        for i, token in enumerate(read):
            if token.text != "enum":
                continue
            named = read[i + 1].kind == "name"
            brace = i + 1 + named
            if read[brace].text != "{":
                continue
            end = next(j for j in range(brace, len(read)) if read[j].text == "}")
            names = [
                read[j].text
                for j in range(brace + 1, end)
                if read[j].kind == "name" and read[j - 1].text in ("{", ",")
            ]
            members = [name for name in names if not name.endswith("_COUNT")] if named else []
            groups.update((name, members) for name in names)
    return groups


class Source:
    """One C file, and every change to it."""

    def __init__(self, path, text, groups):
        self.path = path
        self.text = text
        self.groups = groups
        self.tokens = tokens(text)
        self.pairs = self.match_brackets()
        self.found = []

    def match_brackets(self):
        pairs, open_ones = {}, []
        for i, token in enumerate(self.tokens):
            if token.kind == "mark" and token.text in "([{":
                open_ones.append(i)
            elif token.kind == "mark" and token.text in ")]}":
                pairs[open_ones.pop()] = i
        return pairs

    def is_mark(self, i, text):
        return self.tokens[i].kind == "mark" and self.tokens[i].text == text

    def mutants(self):
        """In the order of the file."""
        i = 0
        while i < len(self.tokens):
            if not self.is_mark(i, "{"):
                i = self.pairs[i] + 1 if i in self.pairs else i + 1
                continue
            end = self.pairs[i]
            if self.is_mark(i - 1, ")"):
                self.function(i, end)
            elif self.is_mark(i - 1, "="):
                self.table(i, end)
            elif "enum" in (self.tokens[i - 1].text, self.tokens[i - 2].text):
                self.values(i, end)
            i = end + 1
        return sorted(self.found, key=lambda mutant: (mutant.line, mutant.column))

    def add(self, function, what, first, last, *texts):
        """The tokens from `first` to `last` become each of `texts`."""
        start, end = self.tokens[first].start, self.tokens[last].end
        for text in texts:
            self.found.append(Mutant(self, function, what, start, end, text))

    # --- what stands outside of functions ---

    def values(self, begin, end):
        """What an enumeration gives to its constants."""
        for i in range(begin + 1, end):
            if self.tokens[i - 1].text not in ("{", ","):
                self.constant("", i)

    def table(self, begin, end):
        """A table's cells: constants, and functions, which another of the same table replaces."""
        j = begin - 1
        while j > 0 and not self.tokens[j].text in (";", "}"):
            j -= 1
        name = next(
            self.tokens[i].text
            for i in range(j, begin)
            if self.tokens[i].kind == "name" and self.tokens[i + 1].text in ("[", "=")
        )
        for i in range(begin, end):
            self.constant(name, i)
        cells = [
            i
            for i in range(begin, end)
            if self.tokens[i].kind == "name"
            and self.tokens[i].text not in {*self.groups, *TRUTH, *KEYWORDS}
            and self.is_mark(i - 1, "=")
            and self.tokens[i + 1].text in (",", "}")
        ]
        texts = list(dict.fromkeys(self.tokens[i].text for i in cells))
        for i in cells:
            self.add(name, "cell", i, i, *neighbours(self.tokens[i].text, texts))

    # --- functions ---

    def function(self, begin, end):
        opening = next(first for first, last in self.pairs.items() if last == begin - 1)
        name = self.tokens[opening - 1].text
        self.block(name, begin, end)
        i = begin + 1
        while i < end:
            i = self.past_sizes(i)
            self.constant(name, i)
            self.operator(name, i)
            i += 1

    def block(self, function, begin, end, switch=False):
        i = begin + 1
        while i < end:
            i = self.statement(function, i, end, switch)

    def statement(self, function, i, end, switch):
        """Returns where the next one begins."""
        text = self.tokens[i].text
        if self.is_mark(i, "{"):
            self.block(function, i, self.pairs[i])
            return self.pairs[i] + 1
        if text in ("if", "while", "switch", "for"):
            return self.controlled(function, i, end)
        if text in ("else", "do"):
            return i + 1
        if text in ("case", "default") or self.is_mark(i + 1, ":"):
            while not self.is_mark(i, ":"):
                i += 1
            return i + 1
        last = self.semicolon(i)
        self.removal(function, i, last, end, switch)
        return last + 1

    def controlled(self, function, i, end):
        opening, closing = i + 1, self.pairs[i + 1]
        word = self.tokens[i].text
        if word in ("if", "while"):
            self.add(function, "condition", opening + 1, closing - 1, "true", "false")
        elif word == "for":
            first = self.semicolon(opening + 1)
            last = self.semicolon(first + 1)
            if last > first + 1:
                self.add(function, "condition", first + 1, last - 1, "true", "false")
        body = closing + 1
        if self.is_mark(body, ";"):
            return body + 1
        if self.is_mark(body, "{"):
            self.block(function, body, self.pairs[body], word == "switch")
            return self.pairs[body] + 1
        return self.statement(function, body, end, False)

    def semicolon(self, i):
        """The first one from here on that is in no brackets."""
        while not self.is_mark(i, ";"):
            i = self.pairs[i] + 1 if i in self.pairs else i + 1
        return i

    def removal(self, function, first, last, end, switch):
        """Without the statement; those that cannot matter are left alone."""
        text = self.tokens[first].text
        is_last = last + 1 == end
        if text in ("return", "break", "continue", "goto"):
            if not (is_last and (switch or text in ("return", "continue"))):
                self.add(function, "removed", first, last, ";")
        elif text not in KEYWORDS and self.text[self.tokens[first].start :][:6] != "(void)":
            if self.tokens[first + 1].kind != "name":
                self.add(function, "removed", first, last, ";")

    def operator(self, function, i):
        token, before, after = self.tokens[i], self.tokens[i - 1], self.tokens[i + 1]
        if token.kind != "mark":
            return
        operand = before.kind in ("number", "char", "string") or before.text in (")", "]")
        operand = operand or before.kind == "name" and before.text not in KEYWORDS
        if token.text in ("++", "--"):
            self.add(function, "operator", i, i, *UNARY[token.text])
        elif token.text == "?":
            self.add(function, "condition", i, i, "|| true ?", "&& false ?")
        elif token.text == "*" and (not operand or self.declares(i) or after.text in (")", ",", "*")):
            return
        elif operand and token.text in BINARY:
            self.add(function, "operator", i, i, *BINARY[token.text])
        elif not operand and token.text in UNARY:
            self.add(function, "operator", i, i, *UNARY[token.text])

    def past_sizes(self, i):
        """Behind the brackets of `char buffer[256]` and `sizeof buffer[0]`: a type (or sizeof), a
        name, and these."""
        before = self.tokens[i - 2]
        if self.tokens[i - 1].kind == "name" and before.kind == "name":
            if before.text not in ("return", "else", "case", "do", "goto"):
                while self.is_mark(i, "["):
                    i = self.pairs[i] + 1
        return i

    def declares(self, i):
        """Is this star one of a declaration?"""
        return self.tokens[i - 2].text in ("struct", "enum", "const", "{", "}", ";", "static", "(")

    def constant(self, function, i):
        token = self.tokens[i]
        if token.kind == "number":
            match = INTEGER.match(token.text)
            if match:
                digits, suffix = match.groups()
                octal = len(digits) > 1 and digits.isdigit() and digits[0] == "0"
                value = int(digits, 8 if octal else 0)
                texts = [f"{value + 1}{suffix}"] + ([f"{value - 1}{suffix}"] if value else [])
                self.add(function, "constant", i, i, *texts)
        elif token.kind == "char":
            self.add(function, "constant", i, i, f"({token.text} + 1)")
        elif token.text in TRUTH:
            self.add(function, "constant", i, i, TRUTH[token.text])
        elif token.kind == "name" and token.text in self.groups:
            members = self.groups[token.text]
            texts = neighbours(token.text, members) if members else (
                f"({token.text} + 1)", f"({token.text} - 1)")
            self.add(function, "constant", i, i, *texts)


def neighbours(name, names):
    """The one before and the one after it, in a ring."""
    if name not in names or len(names) < 2:
        return []
    at = names.index(name)
    return list(dict.fromkeys([names[(at + 1) % len(names)], names[at - 1]]))
