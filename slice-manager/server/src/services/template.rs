//! Templates, and what they derive to, line by line.

use api::v1;
use model::ProfileName;
use model::profile::{Catalog, Template};
use tonic::{Request, Response, Status};

use super::{Services, name};

#[tonic::async_trait]
impl v1::template_service_server::TemplateService for Services {
    async fn list_templates(
        &self,
        _: Request<v1::ListTemplatesRequest>,
    ) -> Result<Response<v1::ListTemplatesResponse>, Status> {
        let catalog = &self.0.catalog;
        let templates = catalog.templates().map(|template| message(catalog, template)).collect();
        Ok(Response::new(v1::ListTemplatesResponse { templates }))
    }

    async fn get_template(&self, request: Request<v1::GetTemplateRequest>) -> Result<Response<v1::Template>, Status> {
        let wanted: ProfileName = name("name", &request.into_inner().name)?;
        let catalog = &self.0.catalog;
        let template = catalog.template(&wanted).map(|template| Response::new(message(catalog, template)));
        template.ok_or_else(|| Status::not_found(format!("there is no template `{wanted}`")))
    }
}

fn message(catalog: &Catalog, template: &Template) -> v1::Template {
    let attribute = |(attribute, value): (&model::profile::GstAttribute, &model::profile::GstValue)| {
        v1::TemplateAttribute { name: attribute.name.to_owned(), value: value.to_string() }
    };
    let line = |line: plan::Derivation| v1::Derivation {
        source: line.source,
        value: line.value,
        field: line.field.to_owned(),
        result: line.result,
        rule: line.rule,
    };
    v1::Template {
        name: template.name.to_string(),
        description: template.spec.description.clone(),
        sst: template.spec.sst.get().into(),
        default_five_qi: template.spec.default_five_qi.get().into(),
        attributes: template.spec.attributes.iter().map(attribute).collect(),
        derivation: plan::explain(catalog, template).into_iter().map(line).collect(),
    }
}
