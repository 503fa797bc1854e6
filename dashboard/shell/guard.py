"""What a page shows when something is absent or damaged: a sentence, never a traceback."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from dashboard.data.project import place, root
from dashboard.style.text import plain, sentence
from store.base.errors import ArtifactMissingError, NotInStoreError, StoreError


def message(error: Exception) -> str:
    """An error's sentence, with paths as a person would type them at the project's root."""
    return str(error).replace(f"{root()}/", "")


def empty(what: str, command: str, *, why: str = "") -> None:
    """Two lines: what would be here, and the command that makes it, or the one that brings it to a bucket."""
    with st.container(border=True):
        st.markdown(f"**Nothing here yet.** {what}{' ' + plain(why) if why else ''}")
        if (bucket := _bucket()) is None:
            st.markdown(f"`{command}` makes it; `dvc pull` fetches it where a teammate has pushed it.")
        else:
            st.markdown(
                f"It was not pushed to {plain(bucket)}: `{command}` makes it where the pipeline runs, and "
                "`python -m store push` there brings it."
            )


def _bucket() -> str | None:
    try:
        return place()
    except StoreError:  # no place at all; that is told above
        return None


@contextmanager
def guard(what: str, *, command: str = "dvc repro") -> Iterator[None]:
    """Run a section of a page; explain what is missing or damaged in its place.

    Parameters
    ----------
    what
        One sentence: what would be shown here.
    command
        The command that makes it.
    """
    try:
        yield
    except ArtifactMissingError:
        empty(what, command)
    except NotInStoreError as error:
        st.info(sentence(message(error)), icon=":material/search_off:")
    except StoreError as error:
        st.error(sentence(message(error)), icon=":material/broken_image:")
    except OSError as error:
        # A stage replaces its folder while it runs: files vanish between two reads.
        st.warning(
            sentence(
                f"{error.filename or what} cannot be read just now ({error.strerror}). If `dvc repro` is "
                "running, reload in a moment; else run `dvc repro`."
            ),
            icon=":material/hourglass:",
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        # Valid JSON or YAML of another shape than the pipeline writes.
        logging.getLogger(__name__).exception("A section of a page cannot be read: %s", what)
        what = what[:1].lower() + what[1:].rstrip(".")
        st.error(
            sentence(
                f"This section cannot be read ({what}): a file behind it has another form than the pipeline "
                f"writes ({type(error).__name__}; the server's log has the traceback). "
            )
            + "`dvc checkout --force` restores it, `dvc repro` makes it anew.",
            icon=":material/broken_image:",
        )
