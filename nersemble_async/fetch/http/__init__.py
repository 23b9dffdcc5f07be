"""The only folder that knows aiohttp: requests in, checked answers and our own errors out.

No exception of aiohttp leaves it, nor is one kept as the cause or context of ours: their texts
and attributes hold the URL, and the URL is the credential.
"""

from nersemble_async.fetch.http.answer import Answer, Body
from nersemble_async.fetch.http.client import CLOSE_SECONDS, HttpClient

__all__ = ["CLOSE_SECONDS", "Answer", "Body", "HttpClient"]
