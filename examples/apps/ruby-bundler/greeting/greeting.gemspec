Gem::Specification.new do |spec|
  spec.name = "greeting"
  spec.version = "1.0.0"
  spec.summary = "Says hello"
  spec.authors = ["Hop3"]
  spec.license = "Apache-2.0"
  spec.files = ["lib/greeting.rb"]
end
