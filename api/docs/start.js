// No plugin, no validator, no other host: the page works where there is no way out.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  showExtensions: true,
  validatorUrl: null,
});
