// SPDX-License-Identifier: Apache-2.0
//! App objects in the ways people write them.

use super::*;

fn check(module: &str, text: &str, expected: &str) {
    let found = app_object(module, text).map(|(server, name)| format!("{} {name}", server.package()));
    assert_eq!(found.unwrap_or_default(), expected, "{text}");
}

#[test]
fn app_objects_are_found_by_their_class() {
    check("app", "import x\napp = Flask(__name__)\n", "gunicorn app");
    check("app", "web: Flask = flask.Flask(\n    __name__)\n", "gunicorn web");
    check("main", "app = FastAPI(title='x = Flask(')\n", "uvicorn app");
    check("main", "api=fastapi.FastAPI()\n", "uvicorn api");
    check("main", "from starlette.applications import Starlette\napp = Starlette()\n", "uvicorn app");
    check("app", "def create_app():\n    app = Flask(__name__)\n    return app\n", "gunicorn create_app()");
    check("app", "def create_app(env='x'):\n    return FastAPI()\n", "uvicorn create_app()");
    check("wsgi", "application = get_wsgi_application()\n", "gunicorn application");
    check("wsgi", "from shop import app\n", "gunicorn app");
    check("wsgi", "from shop import app as application\n", "gunicorn application");
    check("asgi", "from shop import app\n", "uvicorn app");
}

#[test]
fn other_modules_have_none() {
    check("app", "from shop import app\n", "");
    check("app", "    app = Flask(__name__)\n", "");
    check("app", "# app = Flask(__name__)\n", "");
    check("app", "text = 'app = Flask('\n", "");
    check("wsgi", "import os\n", "");
    check("app", "app = os.environ.get('FastAPI')\n", "");
}
