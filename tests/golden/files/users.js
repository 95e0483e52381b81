export default [
  {"name":"admin","rights":[{"prefix":"","access":"write"}]},
  {"name":"ci","rights":[{"prefix":"team/","access":"write"},{"prefix":"base","access":"read"}]},
  {"name":"nobody","rights":[]},
];
