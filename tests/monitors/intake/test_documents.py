"""Promises of documents: text, Markdown, HTML, PDF and DOCX become titled passages."""

from intake_samples import docx, pdf


def test_markdown_becomes_passages_with_the_documents_title(read):
    got = read("handbook.md", "# Refunds\n\nWithin 30 days.\n\n## Exceptions\n\nGift cards.\n")
    assert [record.content for record in got.records] == [
        {"text": "# Refunds\n\nWithin 30 days.", "title": "Refunds"},
        {"text": "## Exceptions\n\nGift cards.", "title": "Refunds"},
    ]
    assert got.records[1].origin == "handbook.md:passage 2"


def test_text_with_a_byte_order_mark_is_read(read):
    assert read("a.txt", b"\xef\xbb\xbfhello").records[0].content == {"text": "hello", "title": None}


def test_html_loses_scripts_and_keeps_its_title(read):
    page = "<html><head><title>Docs</title><script>alert(1)</script></head><body><h1>A</h1><p>Words.</p></body></html>"
    (record,) = read("a.html", page).records
    assert record.content == {"text": "# A\n\nWords.", "title": "Docs"}


def test_a_real_docx_is_read(read):
    (record,) = read("a.docx", docx("The plant opened in 2031.", headings=["Plant"])).records
    assert record.content == {"text": "# Plant\n\nThe plant opened in 2031.", "title": "Plant"}


def test_a_real_pdf_is_read(read):
    (record,) = read("a.pdf", pdf("The plant opened in 2031.")).records
    assert record.content["text"] == "The plant opened in 2031."
