import Testing

@testable import Weights

@Suite("Headers of safetensors") struct SafeTensorsHeaderTests {
  private func fault(_ text: String) -> String? {
    let error = #expect(throws: SafeTensorsHeader.Fault.self, "\(text)") {
      try SafeTensorsHeader(Array(text.utf8))
    }
    return error?.reason
  }

  @Test("entries, metadata, escapes, blanks")
  func header() throws {
    let header = try SafeTensorsHeader(
      Array(
        #"""
        { "__metadata__" : {"a":"x\"\\\/\b\f\n\r\té€😀","":""},
          "w" : {"shape":[2, 0,3],"dtype":"F32","data_offsets":[0,24]} , "ü":{"dtype":"I64","shape":[],"data_offsets":[24,32]} }  
        """#.utf8))
    #expect(header.metadata == ["a": "x\"\\/\u{8}\u{C}\n\r\té€😀", "": ""])
    #expect(header.entries.map(\.name) == ["w", "ü"])
    #expect(header.entries.map(\.type) == ["F32", "I64"])
    #expect(header.entries.map(\.shape) == [[2, 0, 3], []])
    #expect(header.entries.map(\.offsets) == [0..<24, 24..<32])
    #expect(try SafeTensorsHeader(Array("{}".utf8)).entries.isEmpty)
    let pair = try SafeTensorsHeader(Array(#"{"__metadata__":{"k":"\ud83d\ude00\u00e9"}}"#.utf8))
    #expect(pair.metadata == ["k": "😀é"])
  }

  @Test("two entries of one name")
  func duplicates() {
    let entry = #"{"dtype":"F32","shape":[],"data_offsets":[0,4]}"#
    #expect(fault("{\"a\":\(entry),\"a\":\(entry)}")?.contains("names 'a' twice") == true)
    // Written differently, it is the same name.
    #expect(fault("{\"a\":\(entry),\"\\u0061\":\(entry)}")?.contains("names 'a' twice") == true)
    #expect(fault(#"{"__metadata__":{"k":"1","k":"2"}}"#)?.contains("'k' twice") == true)
    #expect(fault(#"{"__metadata__":{},"__metadata__":{}}"#)?.contains("twice") == true)
    #expect(fault(#"{"a":{"dtype":"F32","dtype":"F32","shape":[],"data_offsets":[0,4]}}"#) != nil)
  }

  @Test(
    "what JSON or the format does not know",
    arguments: [
      "", "[]", " {}", "{", "{}{}", "{} x", #"{"a":1}"#, #"{"a":{}}"#, #"{"a" {}}"#,
      #"{"a":{"dtype":"F32"}}"#,
      #"{"a":{"dtype":1,"shape":[],"data_offsets":[0,4]}}"#,
      #"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#,
      #"{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}"#,
      #"{"a":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}}"#,
      #"{"a":{"dtype":"F32","shape":[1e2],"data_offsets":[0,4]}}"#,
      #"{"a":{"dtype":"F32","shape":[1,],"data_offsets":[0,4]}}"#,
      #"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}"#,
      #"{"a":{"dtype":"F32","shape":[],"data_offsets":[0]}}"#,
      #"{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4,8]}}"#,
      #"{"a":{"dtype":"F32","shape":[],"data_offsets":[4,0]}}"#,
      #"{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4],"more":[]}}"#, #"{"__metadata__":{"a":1}}"#,
      #"{"__metadata__":{"a":"\q"}}"#, #"{"__metadata__":{"a":"\u12"}}"#, #"{"__metadata__":{"a":"\ud800"}}"#,
      #"{"__metadata__":{"a":"\ud800\u0041"}}"#, #"{"__metadata__":{"a":"\u+123"}}"#,
      "{\"__metadata__\":{\"a\":\"\n\"}}",
      #"{"__metadata__":{"a":"b"#, #"{"__metadata__":{"a":"b\"#,
    ])
  func malformed(_ text: String) { _ = fault(text) }

  @Test("texts that are no UTF-8")
  func encoding() {
    let bytes = Array(#"{"__metadata__":{"a":""#.utf8) + [0xFF] + Array(#""}}"#.utf8)
    #expect(throws: SafeTensorsHeader.Fault.self) { try SafeTensorsHeader(bytes) }
  }
}
