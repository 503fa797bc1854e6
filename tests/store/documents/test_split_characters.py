"""Characters that are split over tokens: bytes in words, and back."""

from hypothesis import given
from hypothesis import strategies as st

from store.documents.split_characters import joined, replaced, spans, spelled

TEXTS = st.text(alphabet=st.sampled_from("aZ üñ漢😀\n�⟨⟩C3"), max_size=12)


@given(TEXTS, st.data())
def test_a_text_comes_back_from_any_cut_of_its_bytes(text: str, data: st.DataObject) -> None:
    content = text.encode()
    cuts = sorted(data.draw(st.sets(st.integers(1, max(len(content) - 1, 1)), max_size=8)))
    tokens = [
        spelled(content[start:end]) for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True)
    ]
    if not any("⟨" in token or "⟩" in token for token in text):
        assert joined(tokens) == text
        assert [replaced(token) for token in tokens] == [
            content[start:end].decode("utf-8", "replace")
            for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True)
        ]
    # Every token belongs to one span, in order.
    assert [place for span in spans(tokens) for place in range(*span)] == list(range(len(tokens)))


def test_whole_characters_stay_as_they_are() -> None:
    assert spelled("ü �".encode()) == "ü �"
    tokens = ["⟨", "C3", "⟩", " ⟨E2⟩⟨80⟩", "⟨99⟩s"]
    assert spans(tokens) == [(0, 1), (1, 2), (2, 3), (3, 5)]
    assert joined(tokens) == "⟨C3⟩ \N{RIGHT SINGLE QUOTATION MARK}s"


def test_bytes_of_no_character_stand_alone() -> None:
    assert spans(["⟨F0⟩", "⟨9F⟩", "a"]) == [(0, 1), (1, 2), (2, 3)]
    assert joined(["⟨F0⟩", "⟨9F⟩", "a", "⟨C3⟩", "⟨BC⟩"]) == "⟨F0⟩⟨9F⟩aü"
