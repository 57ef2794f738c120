"""The page's server on this machine, with a folder of its own for uploads.

Gradio's server stands behind `mmat.app.middleware`, which refuses what the page never sends.
"""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence

from mmat.app.hosts import Hosts
from mmat.app.taggers import Taggers
from mmat.app.uploads import Limits, Uploads
from mmat.files import InputError

QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}


@contextlib.contextmanager
def serving(
    models: Sequence[str | os.PathLike] = (),
    host: str = "127.0.0.1",
    port: int | None = 7860,
    limits: Limits = Limits(),
    allow_hosts: Iterable[str] = (),
) -> Iterator[str]:
    """Serve the page while the `with` lasts, and give its address.

    models: folders of models to choose from, the first one at the start, beside any labels without
    training. port: None for a free one. allow_hosts: more names that it answers to, those of a
    proxy. Raises InputError without the extra `app`, for a folder that holds no model, for a name
    that is none, and where the port is taken.
    """
    hosts = Hosts(host, allow_hosts)
    taggers = Taggers(models)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mmat-app-"))
        stack.enter_context(_environment(QUIET | {"GRADIO_TEMP_DIR": folder}))
        try:
            import gradio  # noqa: F401
        except ImportError as error:
            raise InputError(
                "the page needs Gradio, which is not installed: `pip install mmat[app]`"
            ) from error
        from starlette.middleware import Middleware

        from mmat.app.middleware import PageMiddleware
        from mmat.app.page import build, css, theme

        place = pathlib.Path(folder, "uploads")  # beside what Gradio itself may lay there
        place.mkdir()
        uploads = stack.enter_context(Uploads(place, limits, taggers.specs))
        page = build(uploads, taggers)
        stack.callback(page.close, verbose=False)
        try:
            page.launch(
                server_name=f"[{host}]" if ":" in host else host,
                server_port=port,
                prevent_thread_lock=True,
                quiet=True,
                share=False,
                inbrowser=False,
                show_error=False,
                footer_links=[],
                run_history=False,
                enable_monitoring=False,
                mcp_server=False,
                pwa=False,
                ssr_mode=False,
                max_file_size=limits.bytes,
                theme=theme(),
                css=css(),
                app_kwargs={
                    "middleware": [Middleware(PageMiddleware, uploads=uploads, hosts=hosts)],
                    "docs_url": None,
                    "redoc_url": None,
                },
            )
        except OSError as error:
            raise InputError(
                f"--port {port}: cannot be used on {host}; choose another one"
            ) from error
        yield page.local_url


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables, the only way to configure some of Gradio, and restore them."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
