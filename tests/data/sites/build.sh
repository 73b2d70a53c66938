#!/bin/sh
# Builds every site of this folder anew from source/, and leaves out what no test needs.
# Wants Python and Node; takes some minutes. See README.md.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SOURCE_DATE_EPOCH=1767225600

python3 -m venv "$work/python"
"$work/python/bin/pip" install --quiet "mkdocs-material>=9.7,<10" zensical sphinx
PATH="$work/python/bin:$PATH"

cp -R "$here/source" "$work/source"
cd "$work/source"
for name in mkdocs readthedocs material; do
    mkdocs build --quiet --config-file $name.yml
done
zensical build --config-file zensical.toml
mv built ../zensical
sphinx-build -q -d "$work/doctrees" -b html sphinx ../sphinx

mkdir "$work/node"
cd "$work/node"
cp "$here/source/docusaurus.config.js" .
cp -R "$here/source/docs" docs
printf '%s\n' --- 'slug: /' --- '' | cat - "$here/source/docs/index.md" > docs/index.md
printf '{"private": true}\n' > package.json
npm install --no-audit --no-fund @docusaurus/core@3 @docusaurus/plugin-content-docs@3 \
    @docusaurus/theme-classic@3 @easyops-cn/docusaurus-search-local @mdx-js/react@3 \
    react@19 react-dom@19
npx docusaurus build --out-dir ../docusaurus

cd "$work"
for name in mkdocs readthedocs material zensical sphinx docusaurus; do
    # maps, fonts but one, languages of the search, sources
    find $name -type f \( -name '*.map' -o -name '.*' -o -name '*.ttf' -o -name '*.eot' \
        -o -name '*.woff' -o -path '*/fonts/*.svg' -o -name 'lato-*' -o -name 'Roboto-Slab-*' \
        -o -name 'fa-brands-*' -o -path '*/lunr/*' -o -path '*/_sources/*' \
        -o -name 'sitemap.xml*' -o -name 'objects.inv' \) -exec rm -f {} +
    find $name -type d -empty -delete
    rm -rf "${here:?}/$name"
    mv $name "$here/$name"
done
