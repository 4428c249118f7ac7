#!/bin/sh
# The manual: a site below build/docs that has README.md, doc/ and the words in the sources, with one search for all.
# usage: sh tools/docs.sh, in the root of the project
set -eu

# The pages lie beside each other as they do in the project, so that their links stay right. Behind the language of a block of
# code may stand what the specs want to know: mkdocs takes such a line for no beginning of a block.
rm -rf build/manual build/docs
mkdir -p build/manual
cp -R doc examples LICENSE tools/docs/site.css build/manual
for page in *.md doc/*.md; do
  sed 's/^\(```[a-z]*\) .*/\1/' "$page" >"build/manual/$page"
done

ldoc -q --fatalwarnings .
mkdocs -q build
echo "written: build/docs; to read and search it:  python3 -m http.server -d build/docs"
