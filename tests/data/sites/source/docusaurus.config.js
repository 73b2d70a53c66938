// Docs and classic theme of Docusaurus. It comes with no search but that of a service, so one of
// its community's that needs none stands in.
export default {
  title: "Small site",
  url: "https://docs.example",
  baseUrl: "/",
  plugins: [["@docusaurus/plugin-content-docs", { routeBasePath: "/" }]],
  themes: [
    "@docusaurus/theme-classic",
    ["@easyops-cn/docusaurus-search-local", { docsRouteBasePath: "/", indexBlog: false }],
  ],
  themeConfig: { navbar: { title: "Small site" } },
};
