"""Tables by rule: each hostile one is a harmless table but for one thing.

A builder called `s30_…` to `s32_…` returns a file's bytes, the slug that it must meet before it is accepted, and the
line that must be named (None: no line is at fault).
"""

from collections.abc import Callable

Case = tuple[bytes, str, int | None]
MALFORMED = "csv-malformed"
ROWS = [f"{number},{number * 0.5},{'ab'[number % 2]}" for number in range(40)]


def plain(*, header: str = "n,x,label", rows: list[str] | None = None, end: str = "\n") -> bytes:
    """Forty rows of two numbers and a label."""
    return end.join([header, *(ROWS if rows is None else rows), ""]).encode()


def with_row(row: str | bytes, at: int = 20) -> bytes:
    """With one more row; it stands on line `at + 2`."""
    lines = plain().split(b"\n")
    lines.insert(at + 1, row if isinstance(row, bytes) else row.encode())
    return b"\n".join(lines)


def s30_utf16() -> Case:
    return plain().decode().encode("utf-16"), MALFORMED, 1


def s30_utf16_without_mark() -> Case:
    return plain().decode().encode("utf-16-le"), MALFORMED, 1


def s30_utf32() -> Case:
    return plain().decode().encode("utf-32"), MALFORMED, 1


def s30_latin1() -> Case:
    return with_row("1,2,café".encode("latin-1")), MALFORMED, 22


def s30_overlong_utf8() -> Case:
    return with_row(b"1,2,\xc0\xaf"), MALFORMED, 22


def s30_surrogate_utf8() -> Case:
    return with_row(b"1,2,\xed\xa0\x80"), MALFORMED, 22


def s30_nul() -> Case:
    return with_row("1,2,a\0b"), MALFORMED, 22


def s30_too_few_cells() -> Case:
    return with_row("1,2"), MALFORMED, 22


def s30_too_many_cells() -> Case:
    return with_row("1,2,a,"), MALFORMED, 22


def s30_row_of_spaces() -> Case:
    return with_row("  "), MALFORMED, 22


def s30_long_cell() -> Case:
    return with_row(f"1,2,{'a' * 140_000}"), MALFORMED, 22


def s30_long_cell_of_wide_characters() -> Case:
    """Fewer characters than 128 Ki, more bytes."""
    return with_row(f"1,2,{'ü' * 70_000}"), MALFORMED, 22


def s30_long_cell_over_many_lines() -> Case:
    lines = "\n".join(["a" * 60] * 3000)
    return with_row(f'1,2,"{lines}"'), MALFORMED, 22


def s30_long_row() -> Case:
    return with_row("1,2," * 2_000_000), MALFORMED, 22


def s30_one_endless_line() -> Case:
    return b"a," * 4_000_000, MALFORMED, 1


def s30_quote_never_closed() -> Case:
    return with_row('1,2,"a'), MALFORMED, 22


def s30_quote_never_closed_in_a_large_file() -> Case:
    return plain(rows=['1,2,"a', *ROWS * 1000]), MALFORMED, 2


def s30_text_after_a_quote() -> Case:
    return with_row('1,2,"a"b'), MALFORMED, 22


def s30_lone_carriage_returns() -> Case:
    return plain(end="\r"), MALFORMED, 1


def s30_lone_carriage_return_in_a_row() -> Case:
    return with_row("1,2,a\r3,4,b"), MALFORMED, 22


def s30_empty_file() -> Case:
    return b"", MALFORMED, 1


def s30_only_blank_lines() -> Case:
    return b"\r\n\n\n", MALFORMED, 1


def s30_only_a_mark() -> Case:
    return b"\xef\xbb\xbf", MALFORMED, 1


def s30_two_possible_delimiters() -> Case:
    return plain(header="n;m,x,label"), MALFORMED, 1


def s30_too_many_columns() -> Case:
    names = [f"c{number}" for number in range(2001)]
    return plain(header=",".join(names), rows=[",".join("1" for _ in names)] * 20), MALFORMED, 1


def s30_unnamed_column() -> Case:
    return plain(header=",x,label"), MALFORMED, 1


def s30_padded_name() -> Case:
    return plain(header="n, x,label"), MALFORMED, 1


def s30_long_name() -> Case:
    return plain(header=f"{'n' * 201},x,label"), MALFORMED, 1


def s30_line_break_in_a_name() -> Case:
    return plain(header='"n\nm",x,label'), MALFORMED, 1


def s31_no_row() -> Case:
    return plain(rows=[]), "dataset-too-small", None


def s31_nine_rows() -> Case:
    return plain(rows=ROWS[:9]), "dataset-too-small", None


def s31_target_alone() -> Case:
    return plain(header="label", rows=["a", "b"] * 20), "target-invalid", None


def s32_same_name_twice() -> Case:
    return plain(header="n,n,label"), "duplicate-column", 1


def s32_same_name_quoted() -> Case:
    return plain(header='n,"n",label'), "duplicate-column", 1


def s34_zip() -> Case:
    return b"PK\x03\x04" + plain(), "unsupported-media-type", None


def s34_gzip() -> Case:
    return b"\x1f\x8b\x08" + plain(), "unsupported-media-type", None


def s34_pickle() -> Case:
    return b"\x80\x04\x95\x1a\x00\x00\x00", "unsupported-media-type", None


def s34_parquet_without_an_end() -> Case:
    return b"PAR1" + b"\0" * 40, "unsupported-media-type", None


def s34_parquet_of_a_footer_longer_than_the_file() -> Case:
    return b"PAR1" + b"\0" * 40 + b"\xff\xff\0\0PAR1", "unsupported-media-type", None


def s34_parquet_without_a_footer() -> Case:
    return b"PAR1" + b"\0\0\0\0PAR1", "unsupported-media-type", None


def s34_parquet_of_a_few_bytes() -> Case:
    return b"PAR1PAR1", "unsupported-media-type", None


def s34_encrypted_parquet() -> Case:
    return b"PARE" + b"\0" * 40 + b"\x08\0\0\0PARE", "unsupported-media-type", None


def cases(*rules: str) -> dict[str, Callable[[], Case]]:
    """All builders of these rules, by name."""
    return {name: builder for name, builder in globals().items() if name.split("_")[0] in rules}
